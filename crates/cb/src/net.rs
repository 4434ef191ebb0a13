//! `cb net`: what the server would send, asked without sending it.

use std::process::ExitCode;

use cb_core::config::Config;
use cb_net::http::OutboundError;
use cb_net::judge::Policy;
use cb_net::outbound::Outbound;
use cb_net::resolve::{Answer, Resolver};

use crate::output;

/// Neither yes nor no: the question cannot be asked.
const UNUSABLE: u8 = 2;

#[derive(clap::Subcommand)]
pub enum Command {
    /// Check whether the server may contact a URL, by its rules and CB_OUTBOUND_ALLOW; sends nothing
    Check {
        url: String,
        /// public: only the Internet; lan: also private addresses
        #[arg(long, value_name = "public|lan")]
        policy: Policy,
        /// Use these answers instead of asking a name server
        #[arg(long = "resolve", value_name = "NAME=IP[,IP]")]
        answers: Vec<Answer>,
    },
}

/// Exits 0 with `accept`, 1 with `reject: ` and the reason.
pub async fn run(command: Command) -> ExitCode {
    let Command::Check { url, policy, answers } = command;
    let config = match Config::load() {
        Ok(config) => config,
        Err(error) => {
            output::complain(&error.to_string());
            return ExitCode::from(UNUSABLE);
        }
    };
    let resolver = if answers.is_empty() { Resolver::System } else { Resolver::fixed(answers) };
    let outbound = Outbound::from_config(&config).resolving(resolver);
    let (verdict, code) = match outbound.check(policy, &url).await {
        Ok(_) => ("accept".to_owned(), ExitCode::SUCCESS),
        Err(OutboundError::Refused(why)) => (format!("reject: {why}"), ExitCode::FAILURE),
        Err(error) => (format!("reject: {error}"), ExitCode::FAILURE),
    };
    match output::line(&verdict) {
        Ok(()) => code,
        Err(error) => {
            output::complain(&format!("{error:#}"));
            ExitCode::from(UNUSABLE)
        }
    }
}
