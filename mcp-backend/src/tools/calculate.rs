//! `calculate`: arithmetic that ends.

use std::fmt::Write as _;

use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::handler::server::wrapper::{Json, Parameters};
use rmcp::{tool, tool_router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::given::given;
use super::scope::needs;
use crate::backend::Backend;

pub(super) fn router() -> ToolRouter<Backend> {
    Backend::calculate_router()
}

#[tool_router(router = calculate_router)]
impl Backend {
    #[tool(
        title = "Calculate",
        description = "Adds, subtracts, multiplies, divides, raises to a power, takes the square \
                       root or the factorial. What has no finite answer is an error.",
        meta = needs("mcp:write"),
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    pub(crate) fn calculate(
        Parameters(task): Parameters<Task>,
    ) -> Result<Json<Calculated>, String> {
        Calculated::of(task).map(Json).map_err(|why| why.to_string())
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Task {
    /// What to do.
    operation: Operation,
    /// The numbers to do it with: one for sqrt and factorial, two for power, two or more for the
    /// others, from left to right.
    #[schemars(length(min = 1, max = MOST_OPERANDS))]
    operands: Vec<f64>,
    /// To how many digits after the point the result is rounded; otherwise it is not.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    #[schemars(with = "u8", range(max = MOST_DIGITS), extend("format" = "int32"))]
    precision: Option<u8>,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
    Power,
    Sqrt,
    Factorial,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Calculated {
    /// What was done.
    operation: Operation,
    /// With which numbers.
    operands: Vec<f64>,
    /// What came of it.
    result: f64,
    /// The same as a person would write it.
    formula: String,
    /// To how many digits the result was rounded, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("type" = "integer", "format" = "int32"))] // left out, never null
    precision_applied: Option<u8>,
}

impl Calculated {
    fn of(task: Task) -> Result<Self, Impossible> {
        let Task { operation, operands, precision } = task;
        if operands.len() > MOST_OPERANDS {
            return Err(Impossible::TooMany);
        }
        if precision.is_some_and(|digits| digits > MOST_DIGITS) {
            return Err(Impossible::Precision);
        }
        let exact = operation.apply(&operands)?;
        if !exact.is_finite() {
            return Err(Impossible::Infinite);
        }
        let result = precision.map_or(exact, |digits| rounded(exact, digits));
        let formula = operation.formula(&operands, result);
        Ok(Self { operation, operands, result, formula, precision_applied: precision })
    }
}

impl Operation {
    fn apply(self, operands: &[f64]) -> Result<f64, Impossible> {
        match (self, operands) {
            (Self::Add, [_, _, ..]) => Ok(operands.iter().sum()),
            (Self::Multiply, [_, _, ..]) => Ok(operands.iter().product()),
            (Self::Subtract, [first, rest @ ..]) if !rest.is_empty() => {
                Ok(rest.iter().fold(*first, |left, right| left - right))
            }
            (Self::Divide, [_, rest @ ..]) if rest.contains(&0.0) => Err(Impossible::ByZero),
            (Self::Divide, [first, rest @ ..]) if !rest.is_empty() => {
                Ok(rest.iter().fold(*first, |left, right| left / right))
            }
            (Self::Power, [base, exponent]) => Ok(base.powf(*exponent)),
            (Self::Sqrt, [square]) if *square < 0.0 => Err(Impossible::NegativeRoot),
            (Self::Sqrt, [square]) => Ok(square.sqrt()),
            (Self::Factorial, [number]) => factorial(*number),
            (Self::Add | Self::Multiply | Self::Subtract | Self::Divide, _) => Err(Impossible::Few),
            (Self::Power, _) => Err(Impossible::NotTwo),
            (Self::Sqrt | Self::Factorial, _) => Err(Impossible::NotOne),
        }
    }

    fn formula(self, operands: &[f64], result: f64) -> String {
        let first = operands.first().copied().unwrap_or_default();
        let between = |sign: &str| {
            operands.iter().map(f64::to_string).collect::<Vec<_>>().join(&format!(" {sign} "))
        };
        let mut formula = match self {
            Self::Add => between("+"),
            Self::Subtract => between("-"),
            Self::Multiply => between("×"),
            Self::Divide => between("÷"),
            Self::Power => between("^"),
            Self::Sqrt => format!("√{first}"),
            Self::Factorial => format!("{first}!"),
        };
        // A String takes all there is.
        let _told = write!(formula, " = {result}");
        formula
    }
}

fn factorial(number: f64) -> Result<f64, Impossible> {
    if number < 0.0 || number.fract() != 0.0 {
        return Err(Impossible::NotWhole);
    }
    if number > LARGEST_FACTORIAL {
        return Err(Impossible::Infinite);
    }
    let factors = std::iter::successors(Some(1.0), |factor| Some(factor + 1.0));
    Ok(factors.take_while(|factor| *factor <= number).product())
}

/// By its digits, as a person rounds: multiplying by a power of ten would make large numbers infinite.
fn rounded(exact: f64, digits: u8) -> f64 {
    format!("{exact:.*}", usize::from(digits)).parse().unwrap_or(exact)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Impossible {
    #[error("operands: this operation takes two or more")]
    Few,
    #[error("operands: power takes two")]
    NotTwo,
    #[error("operands: this operation takes one")]
    NotOne,
    #[error("operands: more than {MOST_OPERANDS}")]
    TooMany,
    #[error("operands: division by zero")]
    ByZero,
    #[error("operands: no square root of a negative number")]
    NegativeRoot,
    #[error("operands: factorial takes a whole number that is not negative")]
    NotWhole,
    #[error("precision: more than {MOST_DIGITS} digits")]
    Precision,
    #[error("the result is not a finite number")]
    Infinite,
}

const MOST_OPERANDS: usize = 100;
const MOST_DIGITS: u8 = 10;
/// 171! is more than a double holds.
const LARGEST_FACTORIAL: f64 = 170.0;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn calculated(task: Value) -> Result<Calculated, Impossible> {
        Calculated::of(serde_json::from_value(task).unwrap())
    }

    #[track_caller]
    fn makes(formula: &str, operation: &str, operands: &[f64]) {
        let task = json!({ "operation": operation, "operands": operands });
        assert_eq!(calculated(task).unwrap().formula, formula);
    }

    #[track_caller]
    fn refuses(why: Impossible, operation: &str, operands: &[f64]) {
        let task = json!({ "operation": operation, "operands": operands });
        assert_eq!(calculated(task).unwrap_err(), why);
    }

    #[test]
    fn does_all_seven() {
        makes("1 + 2 + 3.5 = 6.5", "add", &[1.0, 2.0, 3.5]);
        makes("1 - 2 - 3 = -4", "subtract", &[1.0, 2.0, 3.0]);
        makes("2 × 3 × 4 = 24", "multiply", &[2.0, 3.0, 4.0]);
        makes("8 ÷ 2 ÷ 2 = 2", "divide", &[8.0, 2.0, 2.0]);
        makes("2 ^ 10 = 1024", "power", &[2.0, 10.0]);
        makes("√16 = 4", "sqrt", &[16.0]);
        makes("5! = 120", "factorial", &[5.0]);
        makes("0! = 1", "factorial", &[0.0]);
    }

    #[test]
    fn rounds_when_told_to() {
        let third = json!({ "operation": "divide", "operands": [10, 3], "precision": 2 });
        let third = calculated(third).unwrap();
        assert_eq!((&*third.formula, third.precision_applied), ("10 ÷ 3 = 3.33", Some(2)));
        let large = json!({ "operation": "power", "operands": [10, 308], "precision": 10 });
        assert_eq!(calculated(large).unwrap().result.to_string(), 1e308_f64.to_string());
    }

    #[test]
    fn refuses_what_has_no_finite_answer() {
        refuses(Impossible::ByZero, "divide", &[1.0, 0.0]);
        refuses(Impossible::ByZero, "divide", &[1.0, -0.0]);
        refuses(Impossible::Infinite, "power", &[10.0, 400.0]);
        refuses(Impossible::Infinite, "power", &[-1.0, 0.5]);
        refuses(Impossible::Infinite, "multiply", &[1e300, 1e300]);
        refuses(Impossible::NegativeRoot, "sqrt", &[-1.0]);
        refuses(Impossible::NotWhole, "factorial", &[-1.0]);
        refuses(Impossible::NotWhole, "factorial", &[2.5]);
        refuses(Impossible::Infinite, "factorial", &[171.0]);
        refuses(Impossible::Infinite, "factorial", &[1e300]);
    }

    #[test]
    fn refuses_other_numbers_of_operands() {
        for operation in ["add", "subtract", "multiply", "divide"] {
            refuses(Impossible::Few, operation, &[1.0]);
            refuses(Impossible::Few, operation, &[]);
            refuses(Impossible::TooMany, operation, &[1.0; 101]);
        }
        refuses(Impossible::NotTwo, "power", &[2.0, 3.0, 4.0]);
        refuses(Impossible::NotOne, "sqrt", &[]);
        refuses(Impossible::NotOne, "factorial", &[1.0, 2.0]);
    }
}
