//! What conditions may ask about a request, made when one of them does.

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use cel::common::value::CowVal;
use cel::context::VariableResolver;
use cel::{Context, Value};
use http::header::AUTHORIZATION;
use http::request::Parts;

use crate::config::{Condition, OfCall};
use crate::pipeline::call::{Act, Target};
use crate::pipeline::channel::Channel;
use crate::pipeline::material::{Extent, Material};
use crate::pipeline::token::{Memberships, Principal};

/// All but the call.
pub(super) struct Setting<'a> {
    pub(super) principal: &'a Principal,
    claims: Option<&'a Material>,
    request: &'a Parts,
    channel: &'a Channel<'a>,
    said: [OnceLock<Material>; 2],
}

impl<'a> Setting<'a> {
    pub(super) fn new(
        principal: &'a Principal,
        claims: Option<&'a Material>,
        request: &'a Parts,
        channel: &'a Channel<'a>,
    ) -> Self {
        Self { principal, claims, request, channel, said: Default::default() }
    }

    fn principal(&self) -> &Material {
        let [said, _] = &self.said;
        said.get_or_init(|| caller(self.principal))
    }

    fn request(&self) -> &Material {
        let [_, said] = &self.said;
        said.get_or_init(|| arrival(self.request, self.channel))
    }
}

/// What somebody wants to do, and where.
pub(super) struct Facts<'a> {
    setting: &'a Setting<'a>,
    act: &'a Act<'a>,
    call: OnceLock<Material>,
}

impl<'a> Facts<'a> {
    pub(super) fn new(setting: &'a Setting<'a>, act: &'a Act<'a>) -> Self {
        Self { setting, act, call: OnceLock::new() }
    }

    /// Whether a condition holds. An error is neither yes nor no.
    pub(super) fn meet(&self, condition: &Condition) -> Result<bool, Failed> {
        let Extent { widest, longest, .. } = self.extent(condition);
        let for_texts = 1 + longest as u64 / BYTES_A_STEP;
        if condition.steps(widest).saturating_mul(for_texts) > MOST_STEPS {
            return Err(Failed);
        }
        let mut context = Context::with_env(Arc::clone(condition.environment()));
        context.set_variable_resolver(self);
        // A panic in there is as good as any other error.
        let result = catch_unwind(AssertUnwindSafe(|| condition.program().execute(&context)));
        match result {
            Ok(Ok(Value::Bool(yes))) => Ok(yes),
            Ok(Ok(_) | Err(_)) | Err(_) => Err(Failed),
        }
    }

    fn extent(&self, condition: &Condition) -> Extent {
        let reads = condition.reads();
        let claims = self.setting.claims.map(Material::extent);
        let parts = [
            claims,
            reads.principal.then(|| self.setting.principal().extent()),
            reads.request.then(|| self.setting.request().extent()),
            (reads.call != OfCall::Nothing).then(|| self.call().extent()),
        ];
        parts.into_iter().flatten().fold(Extent::default(), Extent::and)
    }

    fn call(&self) -> &Material {
        self.call.get_or_init(|| wish(self.act))
    }
}

impl VariableResolver for Facts<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let material = match variable {
            "claims" | "payload" => self.setting.claims?,
            "principal" => self.setting.principal(),
            "request" => self.setting.request(),
            "mcp" => self.call(),
            _ => return None,
        };
        Some(CowVal::Borrowed(material.value()))
    }
}

/// Nobody can say whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failed;

fn caller(principal: &Principal) -> Material {
    let texts = |all: &[Box<str>]| Material::list(all.iter().map(|one| Material::text(one)));
    let listed = |list: fn(&Memberships) -> &[Box<str>]| {
        texts(principal.memberships.as_deref().map(list).unwrap_or_default())
    };
    let scopes = principal.scopes.split(' ').filter(|scope| !scope.is_empty());
    let entries = [
        ("issuer", Material::text(&principal.issuer)),
        ("subject", Material::text(&principal.subject)),
        ("client", Material::text(principal.client.as_deref().unwrap_or_default())),
        ("scopes", Material::list(scopes.map(Material::text))),
        ("roles", listed(|all| &all.roles)),
        ("groups", listed(|all| &all.groups)),
    ];
    Material::table(entries.into_iter())
}

fn arrival(request: &Parts, channel: &Channel<'_>) -> Material {
    // The token is nobody's business; and of what comes twice, each is seen.
    let names = request.headers.keys().filter(|name| **name != AUTHORIZATION);
    let headers = names.map(|name| {
        let values = request.headers.get_all(name).iter();
        let texts = values.map(|value| Material::text(&String::from_utf8_lossy(value.as_bytes())));
        (name.as_str(), Material::list(texts))
    });
    let entries = [
        ("method", Material::text(request.method.as_str())),
        ("path", Material::text(request.uri.path())),
        ("headers", Material::table(headers)),
        ("address", Material::text(&channel.address.to_string())),
        ("certificate", Material::text(&channel.certificate.map(hexadecimal).unwrap_or_default())),
    ];
    Material::table(entries.into_iter())
}

fn wish(act: &Act<'_>) -> Material {
    let mut named = [""; 3];
    match act.target {
        Some(Target::Tool(name)) => named[0] = name,
        Some(Target::Prompt(name)) => named[1] = name,
        Some(Target::Resource(uri)) => named[2] = uri,
        None => (),
    }
    let [tool, prompt, resource] = named.map(Material::text);
    let none = || Material::table(std::iter::empty::<(&str, Material)>());
    let entries = [
        ("method", Material::text(act.method)),
        ("tool", tool),
        ("prompt", prompt),
        ("resource", resource),
        ("arguments", act.arguments.map_or_else(none, Material::from)),
    ];
    Material::table(entries.into_iter())
}

fn hexadecimal(digest: [u8; 32]) -> String {
    digest.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a text cannot fail.
        write!(text, "{byte:02x}").unwrap_or_default();
        text
    })
}

/// Each takes about a ten-thousandth of a millisecond.
const MOST_STEPS: u64 = 100_000;

/// To look through as many is about one step.
const BYTES_A_STEP: u64 = 4096;
