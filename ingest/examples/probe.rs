//! scratch
#![allow(clippy::all, missing_docs, clippy::unwrap_used, clippy::print_stdout)]
use pdf_oxide::PdfDocument;
use pdf_oxide::converters::ConversionOptions;
use std::time::Instant;
fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mode = args[0].as_str();
    let only: Option<usize> = args[1].parse().ok();
    let mut total = 0;
    let begun = Instant::now();
    let mut bytes = 0;
    for path in &args[2..] {
        let pdf = PdfDocument::from_bytes(std::fs::read(path).unwrap()).unwrap();
        if pdf.is_encrypted() {
            let _ = pdf.authenticate(b"");
        }
        let n = pdf.page_count().unwrap_or(0);
        for i in 0..n {
            if only.is_some_and(|o| o != i + 1) {
                continue;
            }
            total += 1;
            let out = match mode {
                "text" => pdf.extract_text(i).unwrap_or_default(),
                "notables" => pdf
                    .extract_text_with_options(i, &ConversionOptions { extract_tables: false, ..Default::default() })
                    .unwrap_or_default(),
                "plain" => pdf.to_plain_text(i, &ConversionOptions::default()).unwrap_or_default(),
                "md" => pdf.to_markdown(i, &ConversionOptions::default()).unwrap_or_default(),
                "spans" => pdf
                    .extract_spans(i)
                    .unwrap_or_default()
                    .iter()
                    .map(|s| {
                        format!(
                            "{:.1} {:.1} {:.1} {:.1} fs{:.1} {:?}\n",
                            s.bbox.x, s.bbox.y, s.bbox.width, s.bbox.height, s.font_size, s.text
                        )
                    })
                    .collect(),
                "spansonly" => {
                    bytes += pdf.extract_spans(i).unwrap_or_default().len();
                    String::new()
                }
                "both" => {
                    bytes += pdf.extract_spans(i).unwrap_or_default().len();
                    pdf.extract_text(i).unwrap_or_default()
                }
                "info" => format!(
                    "{:?}\n{:?}",
                    pdf.trailer(),
                    pdf.extract_embedded_files().map(|f| f.iter().map(|(n, b)| (n.clone(), b.len())).collect::<Vec<_>>())
                ),
                "lines" => pdf.extract_text_lines(i).unwrap_or_default().iter().map(|l| format!("{:?}\n", l.text)).collect(),
                _ => panic!(),
            };
            bytes += out.len();
            if only.is_some() {
                println!("{out}");
            }
        }
    }
    eprintln!("{mode}: {total} pages {:?} {bytes}", begun.elapsed());
}
