//! Starts the server and stops it on SIGINT or SIGTERM.

use std::{
    error::Error,
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use heyho_server::{
    app::Server,
    backup::backup,
    config::{Command, Config, LogFormat},
    policy,
};
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    let config = Config::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match config.log_format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
    let done = match &config.command {
        Some(Command::Backup { to }) => backup(&config.database, to).await.map_err(Into::into),
        None => serve(&config).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = %error, "giving up");
            ExitCode::FAILURE
        }
    }
}

async fn serve(config: &Config) -> Result<(), Box<dyn Error>> {
    let open_files = rlimit::increase_nofile_limit(policy::OPEN_FILES).unwrap_or_default();
    let server = Server::bind(config).await?;
    let address = server.local_addr()?;
    tracing::info!(
        %address,
        database = config.masked_database(),
        jwt_secret = if config.jwt_secret.is_some() { "given (***)" } else { "kept in the database" },
        requests_per_minute = config.requests_per_minute,
        trust_forwarded_for = config.trust_forwarded_for,
        sends_mail = config.sendmail.is_some(),
        open_files,
        "configuration"
    );
    writeln!(io::stdout(), "listening on http://{address}")?;
    io::stdout().flush()?;
    server.run(stop_signal()).await?;
    Ok(())
}

async fn stop_signal() {
    let interrupt = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                () = interrupt => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    interrupt.await;
}
