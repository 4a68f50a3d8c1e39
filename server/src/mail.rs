//! Sending mail through the machine's own `sendmail`, or a program that takes its place.

use std::{path::PathBuf, process::Stdio, time::Duration};

use tokio::{io::AsyncWriteExt, process::Command};

use crate::policy;

/// Hands messages to a program that reads them with their recipients from standard input (`sendmail -t -i`).
#[derive(Clone)]
pub struct Mailer {
    program: PathBuf,
    sender: String,
}

impl Mailer {
    /// Uses this program, and sends in this name.
    pub fn new(program: PathBuf, sender: String) -> Self {
        Self { program, sender }
    }

    /// Sends in the background: the answer to a request must neither wait for it nor depend on it.
    pub fn send(&self, recipient: &str, subject: &str, text: &str) {
        let message = format!(
            "From: {}\r\nTo: {recipient}\r\nSubject: {subject}\r\n\
             Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n",
            self.sender
        );
        let program = self.program.clone();
        tokio::spawn(async move {
            let wait = Duration::from_secs(policy::MAIL_SECONDS);
            match tokio::time::timeout(wait, hand_over(&program, &message)).await {
                Ok(Ok(true)) => tracing::debug!("message handed over"),
                Ok(Ok(false)) => tracing::error!("the mail program refused a message"),
                Ok(Err(error)) => tracing::error!(error = %error, "the mail program can't be run"),
                Err(_) => tracing::error!("the mail program took too long"),
            }
        });
    }
}

async fn hand_over(program: &PathBuf, message: &str) -> std::io::Result<bool> {
    let mut child = Command::new(program)
        .args(["-t", "-i"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(message.as_bytes()).await?;
    }
    Ok(child.wait().await?.success())
}
