//! HTTP: one reading request with the credential. A redirect is not followed: it would carry the secret elsewhere.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cb_core::Secret;
use cb_net::http::Limits;
use cb_net::judge::Policy;
use http::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use http::{Request, Response, StatusCode};
use serde_json::Value;

use super::{Device, Failure, Outcome, PATIENCE, Proof};

/// What stands in `Authorization`.
pub enum Authorization<'a> {
    Basic { user: &'a str, password: &'a Secret },
    Bearer(&'a Secret),
    Proxmox { token_id: &'a str, secret: &'a Secret },
}

impl Authorization<'_> {
    fn header(&self) -> Result<HeaderValue, Failure> {
        let text = match self {
            // RFC 7617.
            Self::Basic { user, password } => {
                format!("Basic {}", STANDARD.encode(format!("{user}:{}", password.expose())))
            }
            Self::Bearer(token) => format!("Bearer {}", token.expose()),
            Self::Proxmox { token_id, secret } => format!("PVEAPIToken={token_id}={}", secret.expose()),
        };
        let mut value = HeaderValue::try_from(text)
            .map_err(|_| Failure::new("It has characters that no header field can carry."))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// Any server: a path that answers well with the credential and not without.
pub async fn prove(device: Device<'_>, scheme: &str, path: &str, by: Authorization<'_>) -> Outcome {
    let answer = get(device, scheme, path, Some(&by)).await?;
    let status = answer.status();
    if !status.is_success() {
        return Err(unwell(device, path, status));
    }
    if get(device, scheme, path, None).await?.status().is_success() {
        return Err(Failure::new(format!(
            "{} also answers {path} without a credential, so the test proves nothing. Enter a path that needs one.",
            device.host
        )));
    }
    let server = answer.headers().get(http::header::SERVER).and_then(|text| text.to_str().ok());
    Ok(Proof::default().with("Status", status.as_str()).with("Server", server.unwrap_or_default()))
}

/// A Proxmox server: its version, which it tells to nobody without a token.
pub async fn prove_proxmox(device: Device<'_>, by: Authorization<'_>) -> Outcome {
    let path = "/api2/json/version";
    let answer = get(device, "https", path, Some(&by)).await?;
    if !answer.status().is_success() {
        return Err(unwell(device, path, answer.status()));
    }
    let told = json(&answer);
    match told["data"]["version"].as_str() {
        Some(version) => Ok(Proof::default().with("Proxmox", version)),
        None => Err(Failure::new(format!("{} does not answer as Proxmox does.", device.host))),
    }
}

/// A baseboard controller (DSP0266): its systems, which it shows to users only.
pub async fn prove_redfish(device: Device<'_>, by: Authorization<'_>) -> Outcome {
    let path = "/redfish/v1/Systems";
    let answer = get(device, "https", path, Some(&by)).await?;
    if !answer.status().is_success() {
        return Err(unwell(device, path, answer.status()));
    }
    let systems = json(&answer)["Members"].as_array().map(Vec::len);
    let Some(systems) = systems else {
        return Err(Failure::new(format!("{} does not answer as Redfish does.", device.host)));
    };
    let root = json(&get(device, "https", "/redfish/v1/", None).await?);
    let text = |name: &str| root[name].as_str().unwrap_or_default().to_owned();
    Ok(Proof::default()
        .with("Redfish", &text("RedfishVersion"))
        .with("Vendor", &text("Vendor"))
        .with("Product", &text("Product"))
        .with("Systems", &systems.to_string()))
}

async fn get(
    device: Device<'_>,
    scheme: &str,
    path: &str,
    by: Option<&Authorization<'_>>,
) -> Result<Response<Vec<u8>>, Failure> {
    let host = if device.host.contains(':') { format!("[{}]", device.host) } else { device.host.to_owned() };
    let mut request = Request::get(format!("{scheme}://{host}:{}{path}", device.port));
    request = request.header(ACCEPT, "application/json, */*");
    if let Some(by) = by {
        request = request.header(AUTHORIZATION, by.header()?);
    }
    let request = request.body(Vec::new()).map_err(|_| Failure::new("The path is not valid."))?;
    let limits = Limits {
        total: Duration::from_secs(6),
        connect: PATIENCE,
        body: 256 << 10,
        redirects: 0,
        ..Limits::default()
    };
    match device.outbound.send(Policy::Lan, request, limits).await {
        Ok(answer) => Ok(answer),
        Err(error) => Err(device.failed(error).await),
    }
}

fn json(answer: &Response<Vec<u8>>) -> Value {
    serde_json::from_slice(answer.body()).unwrap_or_default()
}

fn unwell(device: Device<'_>, path: &str, status: StatusCode) -> Failure {
    let host = device.host;
    Failure::new(match status {
        StatusCode::UNAUTHORIZED => {
            format!("{host} refuses the credential (401). It is wrong, expired or revoked.")
        }
        StatusCode::FORBIDDEN => {
            format!(
                "{host} refuses the credential for {path} (403). It may be correct but have no permission for this path."
            )
        }
        status if status.is_redirection() => {
            format!(
                "{host} sends {path} elsewhere ({status}), and the server does not send the secret there. Enter the path that answers."
            )
        }
        status => format!("{host} answers {path} with {status}."),
    })
}
