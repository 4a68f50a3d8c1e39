//! What the operator decides, by flag or by environment variable.

use std::net::SocketAddr;

use clap::Parser;

/// Reference backend of HeyHo sync.
#[derive(Parser, Clone)]
#[command(name = "heyho-server", version)]
pub struct Config {
    /// Address and port to listen on; port 0 takes a free one, which is then printed
    #[arg(long, env = "HEYHO_LISTEN", default_value = "127.0.0.1:3001")]
    pub listen: SocketAddr,

    /// sqlite://FILE or postgres://USER:PASSWORD@HOST/DATABASE
    #[arg(long, env = "DATABASE_URL", default_value = "sqlite://heyho.db", hide_env_values = true)]
    pub database: String,

    /// Secret that signs tokens; without it one is made at the first start and kept in the database
    #[arg(long, env = "HEYHO_JWT_SECRET", hide_env_values = true)]
    pub jwt_secret: Option<String>,
}
