//! Own or rent: what a month of a client cost on one's own machine, beside what a cloud would have asked for the same tokens.

use std::collections::BTreeMap;

use strongroom_ingest::model::CollectionId;

use super::{Place, Row, Tokens};

/// What things cost, as the configuration says. What is not given is not reckoned.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prices {
    /// The currency's name.
    pub currency: String,
    /// What a cloud would ask for a million tokens in and out.
    pub rent: Option<(f64, f64)>,
    /// What a provider asks for a million tokens in and out, by its name.
    pub providers: BTreeMap<String, (f64, f64)>,
    /// A kilowatt-hour.
    pub kilowatt_hour: Option<f64>,
    /// What a generator draws while it computes, in watts, by its name.
    pub watts: BTreeMap<String, f64>,
    /// What the machine costs a month, spread over its life.
    pub machine_a_month: Option<f64>,
}

/// One client's month.
#[derive(Clone, Debug, PartialEq)]
pub struct Bill {
    /// Year and month, such as `2026-03`.
    pub month: String,
    /// The collection, by id.
    pub collection: CollectionId,
    /// Tokens of models here.
    pub local: Tokens,
    /// Tokens of clouds.
    pub cloud: Tokens,
    /// Kilowatt-hours that the models here drew; none without watts.
    pub kilowatt_hours: Option<f64>,
    /// What the models here cost: electricity and this collection's share of the machine, by tokens. None where neither is priced.
    pub own: Option<f64>,
    /// What a cloud would have asked for the tokens of the models here; none where that is not priced.
    pub rent: Option<f64>,
    /// What the clouds asked for theirs; none where one that was used is not priced.
    pub paid: Option<f64>,
}

/// The months of every collection, in order. `machine` counts a month in which it was used, whole.
pub fn bills(rows: &[Row], prices: &Prices) -> Vec<Bill> {
    let mut months: BTreeMap<(String, CollectionId), Vec<&Row>> = BTreeMap::new();
    let mut of_machine: BTreeMap<String, u64> = BTreeMap::new();
    for row in rows {
        let month = row.day.strftime("%Y-%m").to_string();
        if row.place == Place::Local {
            *of_machine.entry(month.clone()).or_default() += row.tokens.all();
        }
        months.entry((month, row.collection)).or_default().push(row);
    }
    let bill = |((month, collection), rows): ((String, CollectionId), Vec<&Row>)| {
        let all = of_machine.get(&month).copied().unwrap_or_default();
        bill(month, collection, &rows, all, prices)
    };
    months.into_iter().map(bill).collect()
}

fn bill(month: String, collection: CollectionId, rows: &[&Row], of_machine: u64, prices: &Prices) -> Bill {
    let (mut local, mut cloud) = (Tokens::default(), Tokens::default());
    let (mut hours, mut paid) = (None, Some(0.0));
    for row in rows {
        match row.place {
            Place::Local => {
                local.add(row.tokens);
                if let Some(watts) = prices.watts.get(&row.generator) {
                    *hours.get_or_insert(0.0) += watts * row.busy.as_secs_f64() / 3_600_000.0;
                }
            }
            Place::Cloud => {
                cloud.add(row.tokens);
                // A cloud asks for the tokens that it counts itself.
                let asked = prices.providers.get(&row.generator).map(|price| cost(row.reported, *price));
                paid = paid.zip(asked).map(|(paid, asked)| paid + asked);
            }
        }
    }
    let electricity = hours.zip(prices.kilowatt_hour).map(|(hours, price)| hours * price);
    let share = if of_machine > 0 { local.all() as f64 / of_machine as f64 } else { 0.0 };
    let machine = prices.machine_a_month.map(|price| price * share);
    let own = match (electricity, machine) {
        (None, None) => None,
        (electricity, machine) => Some(electricity.unwrap_or(0.0) + machine.unwrap_or(0.0)),
    };
    let rent = prices.rent.map(|price| cost(local, price));
    Bill { month, collection, local, cloud, kilowatt_hours: hours, own, rent, paid }
}

fn cost(tokens: Tokens, (prompt, completion): (f64, f64)) -> f64 {
    (tokens.prompt as f64 * prompt + tokens.completion as f64 * completion) / 1_000_000.0
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn row(day: &str, collection: u128, place: Place, prompt: u64, seconds: u64) -> Row {
        Row {
            day: day.parse().unwrap(),
            collection: CollectionId(collection),
            task: "ask".into(),
            generator: if place == Place::Local { "small".into() } else { "acme".into() },
            place,
            tasks: 1,
            tokens: Tokens { prompt, completion: 0 },
            reported: Tokens { prompt: prompt * 2, completion: 0 },
            busy: Duration::from_secs(seconds),
        }
    }

    #[test]
    fn a_month_is_reckoned_both_ways() {
        let rows = [
            row("2026-03-01", 1, Place::Local, 3_000_000, 3600),
            row("2026-03-31", 2, Place::Local, 1_000_000, 1800),
            row("2026-03-31", 2, Place::Cloud, 500_000, 9),
            row("2026-04-01", 2, Place::Local, 7, 0),
        ];
        let prices = Prices {
            currency: "EUR".into(),
            rent: Some((3.0, 15.0)),
            providers: [("acme".to_owned(), (2.0, 8.0))].into(),
            kilowatt_hour: Some(0.40),
            watts: [("small".to_owned(), 500.0)].into(),
            machine_a_month: Some(80.0),
        };
        let found = bills(&rows, &prices);
        assert_eq!(found.iter().map(|bill| bill.month.as_str()).collect::<Vec<_>>(), ["2026-03", "2026-03", "2026-04"]);
        let near = |value: Option<f64>, want: f64| assert!((value.unwrap() - want).abs() < 1e-9, "{value:?} is not {want}");
        near(found[0].kilowatt_hours, 0.5);
        near(found[0].own, 0.5 * 0.40 + 60.0);
        near(found[0].rent, 9.0);
        near(found[1].own, 0.25 * 0.40 + 20.0);
        near(found[1].paid, 2.0);
        let bare = bills(&rows, &Prices::default());
        assert_eq!((bare[0].own, bare[0].rent, bare[0].paid, bare[1].paid), (None, None, Some(0.0), None));
    }
}
