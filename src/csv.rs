//! Tables as text (RFC 4180), separated by `;`, as Excel reads them in Colombia.

/// Writes a row with its line end.
pub fn write_row(text: &mut String, cells: &[String]) {
    for (index, value) in cells.iter().enumerate() {
        if index > 0 {
            text.push(';');
        }
        write_cell(text, value);
    }
    text.push_str("\r\n");
}

/// Writes a cell so that no program takes it for a formula
/// (<https://owasp.org/www-community/attacks/CSV_Injection>).
fn write_cell(text: &mut String, value: &str) {
    let is_formula = value.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let prefix = if is_formula { "'" } else { "" };
    // LibreOffice proposes to separate by commas and tabs as well.
    if value.contains([';', ',', '\t', '"', '\n', '\r']) {
        let quoted = value.replace('"', "\"\"");
        for part in ["\"", prefix, &quoted, "\""] {
            text.push_str(part);
        }
    } else {
        text.push_str(prefix);
        text.push_str(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_are_no_formulas() {
        for (value, cell) in [
            ("Cali", "Cali"),
            ("Ana; \"la 10\"", "\"Ana; \"\"la 10\"\"\""),
            ("=1+1", "'=1+1"),
            ("+57", "'+57"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "\"'\t=1\""),
            ("Triple, desde lejos", "\"Triple, desde lejos\""),
            ("=\"x\";", "\"'=\"\"x\"\";\""),
            ("a=b", "a=b"),
            ("", ""),
        ] {
            let mut text = String::new();
            write_cell(&mut text, value);
            assert_eq!(text, cell, "{value:?}");
        }
    }
}
