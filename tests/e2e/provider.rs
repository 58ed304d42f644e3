//! npm's oidc-provider, with a few levers of ours.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::post::{Post, post};
use super::{counterpart, told};
use crate::harness::{Certificate, Process, Response, Wire};

pub(super) struct Provider {
    pub(super) issuer: String,
    /// What the gateway asks as.
    pub(super) gateway: (String, String),
    /// What the backend gets tokens for tokens as.
    pub(super) exchanger: (String, String),
    /// What the gateway is where it stands in for it.
    pub(super) facade: (String, String),
    admin: SocketAddr,
    client: (String, String),
    resource: String,
    /// Who signed its certificate, if it speaks https.
    authority: Option<PathBuf>,
    _process: Process,
}

impl Provider {
    pub(super) fn start(resource: &str) -> Self {
        Self::launch(counterpart("node", "oidc-provider.mjs"), resource)
    }

    /// It registers nobody.
    pub(super) fn closed(resource: &str) -> Self {
        let mut command = counterpart("node", "oidc-provider.mjs");
        command.arg("--closed");
        Self::launch(command, resource)
    }

    /// It registers whoever shows this token.
    pub(super) fn choosy(resource: &str, token: &str) -> Self {
        let mut command = counterpart("node", "oidc-provider.mjs");
        command.args(["--token", token]);
        Self::launch(command, resource)
    }

    /// Over https, where it also takes the word of whoever signs the clients' certificates.
    pub(super) fn secured(resource: &str, own: &Certificate, clients: &Certificate) -> Self {
        let mut command = counterpart("node", "oidc-provider.mjs");
        command.arg("--certificate").arg(&own.chain).arg("--key").arg(&own.key);
        command.arg("--clients").arg(&clients.authority);
        Self { authority: Some(own.authority.clone()), ..Self::launch(command, resource) }
    }

    fn launch(mut command: Command, resource: &str) -> Self {
        command.args(["--resource", resource]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process(command.spawn().unwrap());
        let told = told(&mut process);
        let text = |name: &str| told[name].as_str().unwrap().to_owned();
        let admin = text("admin").strip_prefix("http://").unwrap().parse().unwrap();
        Self {
            issuer: text("issuer"),
            gateway: (text("gateway_id"), text("gateway_secret")),
            exchanger: (text("exchanger_id"), text("exchanger_secret")),
            facade: (text("facade_id"), text("facade_secret")),
            admin,
            client: (text("client_id"), text("client_secret")),
            resource: resource.to_owned(),
            authority: None,
            _process: process,
        }
    }

    /// Where its levers are.
    pub(super) fn lever(&self, path: &str) -> String {
        format!("http://{}{path}", self.admin)
    }

    pub(super) fn admin(&self, path: &str) {
        let response =
            Wire::connect(self.admin).request("POST", path, &[("Content-Length", "0")], "");
        assert_eq!(response.status, 200, "{response:?}");
    }

    /// By client credentials.
    pub(super) fn token(&self) -> String {
        access_token(&self.post("/token", &self.wanted()))
    }

    /// By nothing but the certificate that the client shows, and bound to it.
    pub(super) fn bound_token(&self, own: &Certificate) -> String {
        let response = self.ask_for_a_bound_token(Some(own));
        access_token(&response)
    }

    pub(super) fn ask_for_a_bound_token(&self, own: Option<&Certificate>) -> Response {
        self.send("/token", &format!("{}&client_id=e2e-certified", self.wanted()), own)
    }

    fn wanted(&self) -> String {
        let resource = self.resource.replace(':', "%3A").replace('/', "%2F");
        format!("grant_type=client_credentials&scope=mcp%3Aread&resource={resource}")
    }

    /// A public client for people, by dynamic registration: its id.
    pub(super) fn registered(&self, redirect_uri: &str) -> String {
        let client = json!({
            "redirect_uris": [redirect_uri], "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token"],
        });
        let address = self.issuer.strip_prefix("http://").unwrap().parse().unwrap();
        let headers = [("Content-Type", "application/json")];
        let response =
            Wire::connect(address).request("POST", "/reg", &headers, &client.to_string());
        let registered: Value = serde_json::from_str(&response.body).unwrap();
        registered["client_id"].as_str().unwrap_or_else(|| panic!("{response:?}")).to_owned()
    }

    /// The machine client's id and secret.
    pub(super) fn machine(&self) -> (&str, &str) {
        (&self.client.0, &self.client.1)
    }

    /// As the machine client.
    pub(super) fn post(&self, path: &str, form: &str) -> Response {
        let (id, secret) = &self.client;
        self.send(path, &format!("{form}&client_id={id}&client_secret={secret}"), None)
    }

    fn send(&self, path: &str, form: &str, own: Option<&Certificate>) -> Response {
        let Some(authority) = &self.authority else {
            let address = self.issuer.strip_prefix("http://").unwrap().parse().unwrap();
            return post(address, path, form);
        };
        let headers = [("Content-Type", "application/x-www-form-urlencoded")];
        let url = format!("{}{path}", self.issuer);
        Post { url: &url, authority, own }.send(&headers, form)
    }
}

fn access_token(response: &Response) -> String {
    let answer: Value =
        serde_json::from_str(&response.body).unwrap_or_else(|_| panic!("{response:?}"));
    answer["access_token"].as_str().unwrap_or_else(|| panic!("{response:?}")).to_owned()
}
