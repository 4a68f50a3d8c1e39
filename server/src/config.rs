//! What the operator decides, by flag or by environment variable.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Parser, Subcommand, ValueEnum};

use crate::policy;

/// Reference backend of HeyHo sync.
#[derive(Parser, Clone)]
#[command(name = "heyho-server", version)]
pub struct Config {
    /// Serves, unless told otherwise
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Address and port to listen on; port 0 takes a free one, which is then printed
    #[arg(long, env = "HEYHO_LISTEN", default_value = "127.0.0.1:3001")]
    pub listen: SocketAddr,

    /// sqlite://FILE or postgres://USER:PASSWORD@HOST/DATABASE
    #[arg(
        long,
        env = "DATABASE_URL",
        default_value = "sqlite://heyho.db",
        hide_env_values = true,
        global = true
    )]
    pub database: String,

    /// Secret that signs tokens, of 32 characters or more; without it one is made at the first start and kept in the
    /// database
    #[arg(long, env = "HEYHO_JWT_SECRET", hide_env_values = true)]
    pub jwt_secret: Option<String>,

    /// Requests that one user may make in a minute
    #[arg(
        long,
        env = "HEYHO_REQUESTS_PER_MINUTE",
        default_value_t = policy::USER_REQUESTS.requests,
        value_parser = clap::value_parser!(i64).range(1..)
    )]
    pub requests_per_minute: i64,

    /// Behind a reverse proxy: take the client's address from the last entry of X-Forwarded-For
    #[arg(long, env = "HEYHO_TRUST_FORWARDED_FOR")]
    pub trust_forwarded_for: bool,

    /// Program that sends mail (reads a message on standard input, as `sendmail -t -i` does); with it, a new account
    /// must prove its address first
    #[arg(long, env = "HEYHO_SENDMAIL")]
    pub sendmail: Option<PathBuf>,

    /// Sender of that mail
    #[arg(long, env = "HEYHO_MAIL_FROM", default_value = "heyho@localhost")]
    pub mail_from: String,

    /// How log lines are written
    #[arg(long, env = "HEYHO_LOG_FORMAT", value_enum, default_value = "text")]
    pub log_format: LogFormat,
}

/// What else the program can do.
#[derive(Subcommand, Clone)]
pub enum Command {
    /// Copies a SQLite database into a new file while the server runs, and checks the copy
    Backup {
        /// File to write; must not exist
        #[arg(long)]
        to: PathBuf,
    },
}

/// How log lines are written.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for programs.
    Json,
}

impl Config {
    /// The database URL without its password, which may stand among its parameters too.
    pub fn masked_database(&self) -> String {
        let masked = || {
            let mut url = url::Url::parse(&self.database).ok()?;
            if url.password().is_some() {
                url.set_password(Some("***")).ok()?;
            }
            url.set_query(None);
            url.set_fragment(None);
            Some(url.to_string())
        };
        masked().unwrap_or_else(|| "***".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_masks_the_password() {
        for (database, masked) in [
            ("postgres://u:secret@host/db", "postgres://u:***@host/db"),
            ("postgres://u@host:5432/db?password=secret", "postgres://u@host:5432/db"),
            ("postgres:///db?host=/run&user=u&password=secret", "postgres:///db"),
            ("postgres://u:secret@host/db?sslpassword=secret#secret", "postgres://u:***@host/db"),
            ("sqlite://heyho.db", "sqlite://heyho.db"),
            ("sqlite:///var/lib/heyho.db?mode=rwc", "sqlite:///var/lib/heyho.db"),
            ("password=secret", "***"),
        ] {
            let config = Config::parse_from(["heyho-server", "--database", database]);
            assert_eq!(config.masked_database(), masked);
        }
    }
}
