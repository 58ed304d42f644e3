//! The account of one request: a table for people, a document for machines.

use std::fmt;

use http::header::WWW_AUTHENTICATE;
use serde_json::{Value, json};

use super::finding::{self, Finding};
use super::step::Step;
use super::words::wrapped;
use super::{Case, Verdict, passed};
use crate::reason::{About, Reason};

/// What came of a request, and why.
pub(crate) struct Account {
    ending: Ending,
    status: u16,
    reason: Reason,
    about: About,
    finding: Finding,
    /// What the client would be told in `WWW-Authenticate`.
    challenge: Option<String>,
    steps: Vec<(Step, Mark, String)>,
}

/// How it ended, for scripts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The backend would get it.
    Passes,
    /// We answer by ourselves, and nothing is wrong.
    Answered,
    Refused,
    /// Nobody's fault who called.
    Trouble,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Good,
    /// There was nothing to judge.
    Nothing,
    Here,
    NotReached,
}

impl Account {
    pub(super) fn new(case: &Case, verdict: Verdict) -> Self {
        let (reason, status, at, finding) = match &verdict {
            Verdict::Passes(_) => (Reason::Forwarded, 200, None, Finding::default()),
            Verdict::Answered(answer) => (
                answer.reason(),
                answer.status().as_u16(),
                Step::of_answer(answer),
                finding::of(answer, case),
            ),
        };
        let about = reason.about();
        let ending = match (&verdict, status) {
            (Verdict::Passes(_), _) => Ending::Passes,
            (_, 500..) => Ending::Trouble,
            _ if about.more.is_none() => Ending::Answered,
            _ => Ending::Refused,
        };
        let steps = Step::of_case(case).map(|step| match at {
            Some(at) if step > at => (step, Mark::NotReached, String::new()),
            Some(at) if step == at => (step, Mark::Here, reason.code().to_owned()),
            Some(_) | None => match passed::detail(step, case) {
                Some(detail) => (step, Mark::Good, detail),
                None => (step, Mark::Nothing, String::new()),
            },
        });
        let steps = steps.collect();
        let challenge = challenge(verdict);
        Self { ending, status, reason, about, finding, challenge, steps }.with_upstream(case)
    }

    /// The sentence of what passes says where to.
    fn with_upstream(mut self, case: &Case) -> Self {
        if let (Ending::Passes, Some(site)) = (self.ending, &case.site) {
            self.finding.found = Some(format!("goes to {}", site.upstream));
        }
        self
    }

    pub(crate) fn ending(&self) -> Ending {
        self.ending
    }

    /// The same as one document.
    pub(crate) fn json(&self) -> Value {
        let steps = self.steps.iter().map(|(step, mark, detail)| {
            let result = match mark {
                Mark::Good => "ok",
                Mark::Nothing => "nothing to judge",
                Mark::Here if self.ending == Ending::Answered => "answered",
                Mark::Here => "refused",
                Mark::NotReached => "not reached",
            };
            json!({ "step": step.name(), "result": result, "detail": detail })
        });
        json!({
            "verdict": self.verdict(),
            "status": self.status,
            "code": self.reason.code(),
            "what": self.about.what,
            "expected": self.expected(),
            "found": self.finding.found,
            "causes": self.about.more.map(|more| more.causes),
            "cure": self.about.more.map(|more| more.cure),
            "challenge": self.challenge,
            "steps": steps.collect::<Value>(),
        })
    }

    fn verdict(&self) -> &'static str {
        match self.ending {
            Ending::Passes => "passes",
            Ending::Answered => "answered",
            Ending::Refused => "refused",
            Ending::Trouble => "trouble",
        }
    }

    fn expected(&self) -> Option<&str> {
        let special = self.finding.expected.as_deref();
        special.or(self.about.more.map(|more| more.expected))
    }
}

fn challenge(verdict: Verdict) -> Option<String> {
    let Verdict::Answered(answer) = verdict else { return None };
    let response = answer.into_response().ok()?;
    Some(response.headers().get(WWW_AUTHENTICATE)?.to_str().ok()?.to_owned())
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (status, code, what) = (self.status, self.reason.code(), self.about.what);
        let headline = match self.ending {
            Ending::Passes => "would pass".to_owned(),
            Ending::Answered => format!("answered by the gateway itself with {status}: {what}"),
            Ending::Refused => format!("refused with {status} {code}: {what}"),
            Ending::Trouble => format!("cannot be judged, {status} {code}: {what}"),
        };
        for line in wrapped(&headline, WIDTH + INDENT) {
            writeln!(f, "{line}")?;
        }
        for (name, text) in
            [("expected", self.expected()), ("found", self.finding.found.as_deref())]
        {
            text.map_or(Ok(()), |text| line(f, name, text))?;
        }
        if let Some(more) = self.about.more {
            line(f, "causes", more.causes)?;
            line(f, "cure", more.cure)?;
        }
        writeln!(f)?;
        for (step, mark, detail) in &self.steps {
            let mark = match mark {
                Mark::Good => "ok",
                Mark::Here if self.ending == Ending::Answered => "here",
                Mark::Here => "NO",
                Mark::Nothing | Mark::NotReached => continue,
            };
            writeln!(f, "  {mark:<4}  {:<10}  {detail}", step.name())?;
        }
        for (mark, what) in [(Mark::Nothing, "nothing to judge"), (Mark::NotReached, "not reached")]
        {
            let those = self.steps.iter().filter(|(_, its, _)| *its == mark);
            let names: Vec<&str> = those.map(|(step, ..)| step.name()).collect();
            if !names.is_empty() {
                line(f, "", &format!("{what}: {}", names.join(", ")))?;
            }
        }
        Ok(())
    }
}

/// A name, and a paragraph beside it.
fn line(f: &mut fmt::Formatter<'_>, name: &str, text: &str) -> fmt::Result {
    let mut name = name;
    for line in wrapped(text, WIDTH) {
        writeln!(f, "  {name:<9} {line}")?;
        name = "";
    }
    Ok(())
}

/// Beside the names.
const WIDTH: usize = 86;
const INDENT: usize = 12;

impl About {
    /// The same as one document.
    pub(crate) fn json(&self, code: &str) -> Value {
        let more = self.more;
        json!({
            "code": code,
            "what": self.what,
            "expected": more.map(|more| more.expected),
            "causes": more.map(|more| more.causes),
            "cure": more.map(|more| more.cure),
        })
    }
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        line(f, "", self.what)?;
        let Some(more) = self.more else { return Ok(()) };
        line(f, "expected", more.expected)?;
        line(f, "causes", more.causes)?;
        line(f, "cure", more.cure)
    }
}
