//! Takes running headers, footers and page numbers out of pages, so that they stand in no chunk between two sentences.
//!
//! A line is one of them if it stands at the edge of a page, and at the same edge of other pages too: the very same words,
//! or the same words with a number that grows with the page. Words stay where they are first seen, which may be a title.

use std::collections::HashMap;

/// So many lines from the edge of a page are looked at.
const MOST_LINES: usize = 6;
/// On fewer pages a line repeats itself by chance.
const LEAST_PAGES: usize = 3;
/// Between the first and the last page with such a line, this share of pages, in percent, must have it. Left and right
/// pages often differ.
const LEAST_SHARE_PERCENT: usize = 40;
/// A longer line is a paragraph.
const LONGEST_LINE: usize = 300;
/// A page on which more than this share of the words, in percent, would go is left as it is: a form, a slide, a label.
const MOST_GONE_PERCENT: usize = 15;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Edge {
    Top,
    Bottom,
}

/// What lines of different pages have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Likeness {
    /// All words.
    Same(Edge, String),
    /// All but a number that is by so much larger than the page's own.
    Counting(Edge, String, i64),
}

/// A line at an edge of a page.
struct Candidate {
    page: usize,
    /// The line's place among the page's lines.
    line: usize,
    edge: Edge,
    likenesses: Vec<Likeness>,
}

/// Takes running lines out of `pages`, which are in order; those without text count as pages.
pub(super) fn remove(pages: &mut [String]) {
    let with_text = pages.iter().filter(|page| !page.trim().is_empty()).count();
    if with_text < LEAST_PAGES {
        return;
    }
    let candidates: Vec<Candidate> = pages.iter().enumerate().flat_map(|(page, text)| candidates(page, text)).collect();
    let running = running(&candidates);
    let mut gone: HashMap<usize, Vec<usize>> = HashMap::new();
    let mut open = [(usize::MAX, Edge::Top); 2];
    for candidate in &candidates {
        let slot = &mut open[usize::from(candidate.edge == Edge::Bottom)];
        // Only an unbroken row of running lines from the edge inwards goes: what stands further in is the page's own.
        if *slot == (candidate.page, candidate.edge) {
            continue;
        }
        let first_pages = candidate.likenesses.iter().filter_map(|likeness| running.get(likeness));
        match first_pages.max() {
            None => *slot = (candidate.page, candidate.edge),
            Some(Some(first)) if *first == candidate.page => {}
            Some(_) => gone.entry(candidate.page).or_default().push(candidate.line),
        }
    }
    for (page, lines) in gone {
        if let Some(shorter) = without(&pages[page], &lines) {
            pages[page] = shorter;
        }
    }
}

/// The lines at both edges of a page, each edge from the outside in. A line is at one edge only.
fn candidates(page: usize, text: &str) -> Vec<Candidate> {
    let lines: Vec<(usize, &str)> = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).collect();
    let each = MOST_LINES.min(lines.len().div_ceil(2));
    let top = lines.iter().take(each).map(|line| (line, Edge::Top));
    let bottom = lines.iter().rev().take(each.min(lines.len() - each.min(lines.len()))).map(|line| (line, Edge::Bottom));
    let candidate = |((line, text), edge): (&(usize, &str), Edge)| Candidate {
        page,
        line: *line,
        edge,
        likenesses: likenesses(page, text, edge),
    };
    top.chain(bottom).map(candidate).collect()
}

fn likenesses(page: usize, line: &str, edge: Edge) -> Vec<Likeness> {
    if line.len() > LONGEST_LINE {
        return Vec::new();
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    let whole = words.join(" ");
    let page = i64::try_from(page).unwrap_or(i64::MAX);
    let mut likenesses = Vec::new();
    if whole.chars().any(char::is_alphabetic) {
        likenesses.push(Likeness::Same(edge, whole.clone()));
    }
    for (start, end, number) in numbers(&whole) {
        let around = format!("{}#{}", &whole[..start], &whole[end..]);
        likenesses.push(Likeness::Counting(edge, around, number - page));
    }
    likenesses
}

/// The numbers in a line: runs of digits, or a roman numeral that is all there is beside punctuation.
fn numbers(line: &str) -> Vec<(usize, usize, i64)> {
    let mut numbers = Vec::new();
    let mut at = 0;
    while let Some(start) = line[at..].find(|c: char| c.is_ascii_digit()).map(|offset| at + offset) {
        let end = line[start..].find(|c: char| !c.is_ascii_digit()).map_or(line.len(), |offset| start + offset);
        if let Ok(number) = line[start..end].parse::<u32>() {
            numbers.push((start, end, i64::from(number)));
        }
        at = end;
    }
    if numbers.is_empty() {
        let bare = line.trim_matches(|c: char| !c.is_alphanumeric());
        if let Some(number) = roman(bare) {
            let start = line.find(bare).unwrap_or(0);
            numbers.push((start, start + bare.len(), number));
        }
    }
    numbers
}

/// The value of a roman numeral below 200.
fn roman(text: &str) -> Option<i64> {
    let value = |c: char| match c.to_ascii_lowercase() {
        'i' => Some(1),
        'v' => Some(5),
        'x' => Some(10),
        'l' => Some(50),
        'c' => Some(100),
        _ => None,
    };
    let values: Vec<i64> = text.chars().map(value).collect::<Option<_>>()?;
    if values.is_empty() || values.len() > 8 {
        return None;
    }
    let signed =
        |(index, value): (usize, &i64)| if values.get(index + 1).is_some_and(|next| next > value) { -value } else { *value };
    Some(values.iter().enumerate().map(signed).sum())
}

/// The likenesses of running lines, with the first page of those whose words must stay there.
fn running(candidates: &[Candidate]) -> HashMap<&Likeness, Option<usize>> {
    let mut pages: HashMap<&Likeness, Vec<usize>> = HashMap::new();
    for candidate in candidates {
        for likeness in &candidate.likenesses {
            let seen = pages.entry(likeness).or_default();
            if seen.last() != Some(&candidate.page) {
                seen.push(candidate.page);
            }
        }
    }
    let often = |pages: &[usize]| match (pages.first(), pages.last()) {
        (Some(first), Some(last)) => {
            pages.len() >= LEAST_PAGES && pages.len() * 100 >= (last - first + 1) * LEAST_SHARE_PERCENT
        }
        _ => false,
    };
    let first_to_keep = |likeness: &Likeness, pages: &[usize]| match likeness {
        Likeness::Same(..) => pages.first().copied(),
        Likeness::Counting(..) => None,
    };
    let running = pages.into_iter().filter(|(_, pages)| often(pages));
    running.map(|(likeness, pages)| (likeness, first_to_keep(likeness, &pages))).collect()
}

/// The page without `lines`; none if too little would be left.
fn without(text: &str, lines: &[usize]) -> Option<String> {
    let words = |text: &str| text.split_whitespace().count();
    let kept: Vec<&str> = text.lines().enumerate().filter(|(at, _)| !lines.contains(at)).map(|(_, line)| line).collect();
    let kept = kept.join("\n");
    let all = words(text);
    ((all - words(&kept)) * 100 <= all * MOST_GONE_PERCENT).then(|| kept.trim_matches('\n').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(page: usize) -> String {
        let words = ["lease", "mill", "miller", "weir", "race", "stone", "grist", "wheat"];
        let line = |n: usize| format!("The {} of {} pays the {} for it.", words[n % 8], page * 10 + n, words[(n + page) % 8]);
        (0..12).map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_is_on_every_page_stays_where_it_is_first() {
        let page = |n: usize| format!("LEASE OF THE MILL\n\n{}\nPage {n} of 5\nConfidential", body(n));
        let mut pages: Vec<String> = (1..=5).map(page).collect();
        remove(&mut pages);
        assert_eq!(pages[0], format!("LEASE OF THE MILL\n\n{}\nConfidential", body(1)));
        assert_eq!(pages[1..], (2..=5).map(body).collect::<Vec<_>>());
    }

    #[test]
    fn roman_and_lone_numbers_count_with_the_pages() {
        let numerals = ["i", "ii", "iii", "iv", "1", "2", "3", "4"];
        let mut pages: Vec<String> = (0..8).map(|n| format!("{}\n- {} -", body(n), numerals[n])).collect();
        remove(&mut pages);
        assert_eq!(pages, (0..8).map(body).collect::<Vec<_>>());
    }

    #[test]
    fn the_bodys_own_lines_and_numbers_stay() {
        let pages: Vec<String> = (0..6).map(|n| format!("{}\nTotal {}", body(n), [7, 9, 40, 3, 5, 8][n])).collect();
        let mut after = pages.clone();
        remove(&mut after);
        assert_eq!(after, pages);
        // Repeated, but not at the edge; and a page of little else.
        let mut inside: Vec<String> = (0..4).map(|n| format!("{}\nPay.\n{}", body(n), body(n + 9))).collect();
        inside.push("Pay.\nName\nDate".into());
        let before = inside.clone();
        remove(&mut inside);
        assert_eq!(inside, before);
        let slides: Vec<String> = ["one", "two", "three", "four"].map(|word| format!("Acme Corp\n{word}")).into();
        let mut after = slides.clone();
        remove(&mut after);
        assert_eq!(after, slides);
    }

    proptest::proptest! {
        #[test]
        fn pages_stay_parts_of_themselves(pages in proptest::collection::vec("(a|b|7|\n| |é|iv){0,20}", 0..8)) {
            let mut after = pages.clone();
            remove(&mut after);
            for (before, after) in pages.iter().zip(&after) {
                let lines: Vec<&str> = before.lines().collect();
                proptest::prop_assert!(after.lines().all(|line| lines.contains(&line)));
            }
        }
    }
}
