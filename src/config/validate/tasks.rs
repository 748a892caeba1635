//! Kinds of tasks, and what things cost.

use std::time::Duration;

use super::Faults;
use crate::config::keys::nearest;
use crate::config::parse_duration;
use crate::config::typed::{Typed, TypedTask};
use crate::config::valid::{GeneratorKind, TASKS, Task, Usage};

pub(super) fn tasks(typed: &Typed, faults: &mut Faults) -> [Task; 6] {
    let from = &typed.tasks;
    // One of kind `other` is never asked for anything.
    let answering = typed.generator.iter().filter(|generator| generator.kind != GeneratorKind::Other);
    let known: Vec<&str> = answering.map(|generator| generator.name.as_str()).collect();
    let all = [&from.ask, &from.extract, &from.summarise, &from.classify, &from.draft, &from.code];
    std::array::from_fn(|at| task(TASKS[at], all[at], &known, faults))
}

fn task(kind: &str, from: &TypedTask, known: &[&str], faults: &mut Faults) -> Task {
    for name in &from.generators {
        if !known.contains(&name.as_str()) {
            let hint = match nearest(name, known.iter().copied()) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("add a [[generator]] with name = {name:?}"),
            };
            faults.add(&format!("tasks.{kind}.generators"), format!("there is no generator {name:?}: {hint}"));
        }
    }
    if from.answer_tokens == Some(0) || from.input_tokens == 0 {
        faults.add(
            &format!("tasks.{kind}"),
            "a limit of no tokens leaves nothing to do: `answer_tokens` and `input_tokens` are at least 1",
        );
    }
    let timeout = faults.take(&format!("tasks.{kind}.timeout"), parse_duration(&from.timeout), Duration::from_secs(1800));
    if timeout.is_zero() {
        faults.add(&format!("tasks.{kind}.timeout"), "no time is too little");
    }
    let tokens = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    Task {
        generators: from.generators.clone(),
        answer_tokens: from.answer_tokens.map(tokens),
        input_tokens: tokens(from.input_tokens),
        timeout,
        schema: from.schema.clone(),
    }
}

pub(super) fn usage(typed: &Typed, faults: &mut Faults) -> Usage {
    let from = &typed.usage;
    if from.machine_months == 0 {
        faults.add("usage.machine_months", "is 0: say for how many months the machine is to last");
    }
    let machine = amount("usage.machine", from.machine, faults);
    Usage {
        currency: from.currency.clone(),
        rent: both("usage.rent", from.rent_in, from.rent_out, faults),
        kilowatt_hour: amount("usage.kilowatt_hour", from.kilowatt_hour, faults),
        machine_a_month: machine.map(|price| price / f64::from(from.machine_months.max(1))),
    }
}

/// An amount of something.
pub(super) fn amount(key: &str, from: Option<f64>, faults: &mut Faults) -> Option<f64> {
    if from.is_some_and(|amount| !amount.is_finite() || amount < 0.0) {
        faults.add(key, "must be a number that is not negative");
    }
    from
}

/// Prices in and out, which are given together.
pub(super) fn both(key: &str, price_in: Option<f64>, price_out: Option<f64>, faults: &mut Faults) -> Option<(f64, f64)> {
    if price_in.is_some() != price_out.is_some() {
        faults.add(key, format!("give both, `{key}_in` and `{key}_out`, or neither"));
    }
    amount(&format!("{key}_in"), price_in, faults).zip(amount(&format!("{key}_out"), price_out, faults))
}
