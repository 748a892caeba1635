//! HTML: readable plain text with the headings, lists and tables of the page.

use std::fmt::Write as _;
use std::rc::Rc;

use encoding_rs::Encoding;
use html5ever::tendril::TendrilSink;
use html5ever::{ParseOpts, parse_document};
use markup5ever_rcdom::{Node, NodeData, RcDom};

use super::wire::Answer;
use super::{Unreadable, text};
use crate::model::{Heading, Reason};

/// Real pages nest some dozens deep; the parser's time grows with the square of the depth.
const MOST_NESTED: usize = 1000;
const LONGEST_TITLE: usize = 200;

pub(super) fn read(bytes: &[u8], told: Option<&'static Encoding>) -> Answer {
    let source = text::decode(bytes, told.or_else(|| declared_encoding(bytes)));
    if nests_too_deep(&source) {
        return Err(Unreadable::new(Reason::Bomb, format!("its elements nest more than {MOST_NESTED} deep")));
    }
    let dom = parse_document(RcDom::default(), ParseOpts::default()).one(source);
    let mut page = PageText { item_start: usize::MAX, link_end: usize::MAX, ..PageText::default() };
    page.walk(&dom.document);
    // One within another ends before it, and is seen first.
    page.headings.sort_by_key(|heading| (heading.at, heading.level));
    let mut extraction = text::whole(page.text, "text/html")?;
    extraction.title = page.title.or_else(|| page.headings.first().map(|heading| heading.title.clone()));
    extraction.headings = page.headings;
    for page in &mut extraction.pages {
        page.engine = "html5ever".to_owned();
    }
    Ok(extraction)
}

/// The encoding that a `<meta>` element near the top names.
fn declared_encoding(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(2048)]).to_ascii_lowercase();
    let (_, after) = head.split_once("charset=")?;
    let label = after.trim_start_matches(['"', '\'']).split(['"', '\'', '>', ';', ' ', '/']).next()?;
    Encoding::for_label(label.as_bytes())
}

/// Counts open elements without building a tree. Elements that others close, or that hold nothing, don't count.
fn nests_too_deep(source: &str) -> bool {
    let mut depth = 0_usize;
    let mut rest = source;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let closing = rest.starts_with('/');
        let name_part = rest.strip_prefix('/').unwrap_or(rest);
        let end = name_part.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(name_part.len());
        let name = name_part[..end].to_ascii_lowercase();
        if name.is_empty() || never_nests(&name) {
            continue;
        }
        if closing {
            depth = depth.saturating_sub(1);
            continue;
        }
        if matches!(name.as_str(), "script" | "style") {
            let end = rest.find(if name == "script" { "</script" } else { "</style" });
            rest = end.map_or("", |end| &rest[end + 2..]);
            continue;
        }
        depth += 1;
        if depth > MOST_NESTED {
            return true;
        }
    }
    false
}

fn never_nests(name: &str) -> bool {
    let closed_by_others =
        ["p", "li", "td", "th", "tr", "tbody", "thead", "tfoot", "dt", "dd", "option", "body", "html", "head"];
    let empty = ["br", "hr", "img", "input", "meta", "link", "col", "area", "base", "embed", "param", "source", "track", "wbr"];
    closed_by_others.contains(&name) || empty.contains(&name)
}

/// What stands between two pieces of text; later is stronger.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    #[default]
    None,
    Space,
    Cell,
    Line,
    Paragraph,
}

#[derive(Default)]
struct PageText {
    text: String,
    title: Option<String>,
    headings: Vec<Heading>,
    gap: Gap,
    /// A list marker waits for the item's text.
    marker: String,
    /// For each open list, the number of its next item; 0 for one without numbers.
    lists: Vec<u32>,
    /// For each open row, how many line breaks there were at its first word, and whether a cell came before.
    rows: Vec<(usize, bool)>,
    /// Line breaks written so far.
    breaks: usize,
    /// Where the text of the last list item or cell begins.
    item_start: usize,
    /// Where the last link's text ended.
    link_end: usize,
    verbatim: usize,
}

/// A step of the walk, which keeps its own stack: a tree can be deeper than ours.
enum Step {
    Enter(Rc<Node>),
    Leave(String, usize),
}

impl PageText {
    fn walk(&mut self, root: &Rc<Node>) {
        let mut steps = vec![Step::Enter(root.clone())];
        while let Some(step) = steps.pop() {
            match step {
                Step::Leave(name, began) => self.leave(&name, began),
                Step::Enter(node) => match &node.data {
                    NodeData::Text { contents } => self.push_text(&contents.borrow()),
                    NodeData::Element { name, .. } => {
                        let name = name.local.to_string();
                        if name == "title" && self.title.is_none() {
                            self.title = title_of(&node);
                        }
                        if matches!(name.as_str(), "head" | "script" | "style" | "noscript" | "template" | "svg" | "title") {
                            // The head's title is all that is wanted of it.
                            if name == "head" {
                                let children = node.children.borrow();
                                let titles = children.iter().filter(|child| is_element(child, "title"));
                                steps.extend(titles.map(|child| Step::Enter(child.clone())));
                            }
                            continue;
                        }
                        self.enter(&name);
                        steps.push(Step::Leave(name, self.text.len()));
                        steps.extend(node.children.borrow().iter().rev().cloned().map(Step::Enter));
                    }
                    _ => steps.extend(node.children.borrow().iter().rev().cloned().map(Step::Enter)),
                },
            }
        }
        self.text.truncate(self.text.trim_end().len());
    }

    fn enter(&mut self, name: &str) {
        match name {
            "br" => self.want(Gap::Line),
            "li" => {
                self.want(Gap::Line);
                self.item_start = self.text.len();
                self.marker = match self.lists.last_mut() {
                    Some(next) if *next > 0 => {
                        *next += 1;
                        format!("{}. ", *next - 1)
                    }
                    _ => "- ".to_owned(),
                };
            }
            "ul" | "ol" => {
                if self.lists.is_empty() {
                    self.want(Gap::Paragraph);
                } else {
                    self.gap = Gap::Line;
                }
                self.lists.push(u32::from(name == "ol"));
            }
            "tr" => {
                self.want(Gap::Line);
                self.rows.push((self.breaks + 1, false));
            }
            "td" | "th" => {
                match self.rows.last_mut() {
                    // A cell that holds several lines is a page's layout, not a table's cell.
                    Some((breaks, true)) if self.breaks > *breaks => self.want(Gap::Line),
                    Some((_, true)) => self.gap = Gap::Cell,
                    Some((_, seen)) => *seen = true,
                    None => self.want(Gap::Space),
                }
                self.item_start = self.text.len();
            }
            // Menus are often links with nothing between them but styles.
            "a" if self.link_end == self.text.len() => self.want(Gap::Space),
            "pre" | "textarea" => {
                self.want(Gap::Paragraph);
                self.verbatim += 1;
            }
            _ => self.want(block_gap(name)),
        }
    }

    fn leave(&mut self, name: &str, began: usize) {
        match name {
            "ul" | "ol" => {
                self.lists.pop();
                self.want(if self.lists.is_empty() { Gap::Paragraph } else { Gap::Line });
            }
            "tr" => {
                let several_lines = self.rows.pop().is_some_and(|(breaks, _)| self.breaks > breaks);
                self.end_item(several_lines);
            }
            "li" => self.end_item(false),
            "a" => self.link_end = self.text.len(),
            "pre" | "textarea" => {
                self.verbatim = self.verbatim.saturating_sub(1);
                self.want(Gap::Paragraph);
            }
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                let section = &self.text[began..];
                let at = began + (section.len() - section.trim_start().len());
                let title = one_line(section);
                if !title.is_empty() {
                    self.headings.push(Heading { at, level: name.as_bytes()[1] - b'0', title });
                }
                self.want(Gap::Paragraph);
            }
            _ => self.want(block_gap(name)),
        }
    }

    /// Asks for a gap before the next word. The first block of an item or cell begins on the line where that begins.
    fn want(&mut self, gap: Gap) {
        let begins_item = self.text.len() == self.item_start && (self.gap >= Gap::Cell || !self.marker.is_empty());
        if !begins_item {
            self.gap = self.gap.max(gap);
        }
    }

    /// Ends a list item or row: the next begins on the next line, even if this one ended with a paragraph.
    fn end_item(&mut self, several_lines: bool) {
        if several_lines {
            self.want(Gap::Line);
        } else {
            self.gap = Gap::Line;
        }
        self.item_start = usize::MAX;
    }

    fn push_text(&mut self, contents: &str) {
        if self.verbatim > 0 {
            if !contents.is_empty() {
                self.close_gap();
                self.text.push_str(contents);
            }
            return;
        }
        if contents.starts_with(|c: char| c.is_ascii_whitespace()) {
            self.want(Gap::Space);
        }
        for word in contents.split_ascii_whitespace() {
            self.close_gap();
            self.text.push_str(word);
            self.gap = Gap::Space;
        }
        let ends_open = contents.ends_with(|c: char| c.is_ascii_whitespace());
        if !ends_open && self.gap == Gap::Space && !contents.is_empty() {
            self.gap = Gap::None;
        }
    }

    fn close_gap(&mut self) {
        let gap = std::mem::take(&mut self.gap);
        self.breaks += usize::from(gap >= Gap::Line);
        if !self.text.is_empty() {
            self.text.push_str(match gap {
                Gap::None => "",
                Gap::Space => " ",
                Gap::Cell => " | ",
                Gap::Line => "\n",
                Gap::Paragraph => "\n\n",
            });
        }
        if !self.marker.is_empty() {
            let depth = self.lists.len().saturating_sub(1).min(8);
            let _ = write!(self.text, "{:indent$}{}", "", self.marker, indent = depth * 2);
            self.marker.clear();
        }
    }
}

fn block_gap(name: &str) -> Gap {
    match name {
        "p" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "table" | "blockquote" | "hr" | "dl" | "figure" | "article"
        | "section" | "main" | "header" | "footer" | "nav" | "aside" | "form" | "fieldset" => Gap::Paragraph,
        "div" | "dt" | "dd" | "caption" | "figcaption" | "address" | "center" | "option" | "legend" | "details" | "summary"
        | "thead" | "tbody" | "tfoot" | "body" => Gap::Line,
        _ => Gap::None,
    }
}

fn is_element(node: &Rc<Node>, wanted: &str) -> bool {
    matches!(&node.data, NodeData::Element { name, .. } if &*name.local == wanted)
}

fn title_of(node: &Rc<Node>) -> Option<String> {
    let mut title = String::new();
    for child in node.children.borrow().iter() {
        if let NodeData::Text { contents } = &child.data {
            title.push_str(&contents.borrow());
        }
    }
    Some(one_line(&title)).filter(|title| !title.is_empty())
}

fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(LONGEST_TITLE).collect()
}

#[cfg(test)]
mod tests;
