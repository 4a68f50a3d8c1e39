//! Ingest, measured: the client's full batch through the whole router onto the disk, beside the database's own bulk
//! load of rows like these. `cargo run --profile native -p heyho-server --example ingest -- --database URL --json`

mod bulk;
mod cpu;
mod records;
mod senders;

use std::{
    error::Error,
    io::{self, Write},
};

use bulk::{Bulk, Loaded};
use clap::Parser;
use records::Records;
use senders::{Senders, Sent};
use serde::Serialize;

/// Measures ingest on an empty database, then on a full one.
#[derive(Parser)]
struct Options {
    /// An empty database: sqlite://FILE or postgres://USER@HOST/DATABASE
    #[arg(long)]
    database: String,
    /// Prints JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Records in each measurement
    #[arg(long, default_value_t = 100_000)]
    records: usize,
    /// Rows of a full database
    #[arg(long, default_value_t = 1_000_000)]
    rows: usize,
    /// Times that each is measured, in turns; the median counts, because others use the machine and its disk too
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Users who send at the same time: as many as SQLite stores together, and as many whose batches are judged meanwhile
    #[arg(long, default_value_t = 32)]
    senders: usize,
}

/// One state of the database.
#[derive(Serialize)]
struct Measured {
    rows_before: usize,
    records: usize,
    /// By the database's own means.
    bulk: Loaded,
    one_sender: Sent,
    many_senders: Sent,
    /// Of the bulk load's speed, with many senders, each round's compared with its own.
    share_of_bulk: f64,
}

/// The middle one of them.
fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = figures.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

#[derive(Serialize)]
struct Report {
    database: &'static str,
    records_per_batch: usize,
    senders: usize,
    measured: Vec<Measured>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let mut records = Records::default();
    let senders = Senders::log_in(&options.database, options.senders).await?;
    let mut bulk = Bulk::connect(&options.database).await?;
    let mut measured = Vec::new();
    for rows_before in [0, options.rows] {
        let held = bulk.rows().await?;
        bulk.load(&mut records, rows_before.saturating_sub(held), options.senders).await?;
        let (mut bulks, mut ones, mut manys) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..options.rounds.max(1) {
            // Each goes first as often: what one leaves to the disk, the other has to wait for.
            let bulk_first = round % 2 == 0;
            for loads in [bulk_first, !bulk_first] {
                bulk.settle().await?;
                if loads {
                    bulks.push(bulk.load(&mut records, options.records, options.senders).await?);
                } else {
                    ones.push(senders.send(&mut records, options.records / 10, 1).await?);
                    manys.push(senders.send(&mut records, options.records, options.senders).await?);
                }
                if rows_before == 0 {
                    bulk.clear().await?;
                }
            }
        }
        let share_of_bulk = median(
            manys
                .iter()
                .zip(&bulks)
                .map(|(sent, loaded)| sent.records_per_second / loaded.records_per_second),
        );
        let (bulk, one_sender, many_senders) =
            (Loaded::median(&bulks), Sent::median(&ones), Sent::median(&manys));
        let records = options.records;
        measured.push(Measured { rows_before, records, bulk, one_sender, many_senders, share_of_bulk });
    }
    let report = Report {
        database: bulk.name(),
        records_per_batch: records::PER_BATCH,
        senders: options.senders,
        measured,
    };
    let mut out = io::stdout().lock();
    if options.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
    } else {
        table(&mut out, &report)?;
    }
    Ok(())
}

fn table(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let Report { database, records_per_batch, senders, measured } = report;
    writeln!(out, "{database}, batches of {records_per_batch}, {senders} senders")?;
    for state in measured {
        writeln!(out, "\n{} rows before", state.rows_before)?;
        let Loaded { records_per_second, cpu_us_per_record } = &state.bulk;
        let cpu = |cpu: &Option<f64>| cpu.map_or("?".to_owned(), |cpu| format!("{cpu:.1}"));
        writeln!(
            out,
            "  bulk load     {records_per_second:>9.0} records/s, {} µs of CPU a record",
            cpu(cpu_us_per_record)
        )?;
        for (name, sent) in [("one sender", &state.one_sender), ("many senders", &state.many_senders)] {
            let Sent { records_per_second, p50_ms, p99_ms, cpu_us_per_record } = sent;
            let cpu = cpu(cpu_us_per_record);
            writeln!(
                out,
                "  {name:<13} {records_per_second:>9.0} records/s, a batch p50 {p50_ms:.1} ms, p99 {p99_ms:.1} ms, {cpu} µs of CPU a record"
            )?;
        }
        writeln!(out, "  many senders of the bulk load: {:.0} %", state.share_of_bulk * 100.0)?;
    }
    Ok(())
}
