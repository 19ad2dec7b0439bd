//! Help and data policy: `/ayuda`, `/privacidad`.

use askama::Template;

use super::{Shell, contest::ContestHelp};

#[derive(Debug, Template)]
#[template(path = "help.html", config = ".config/askama.toml")]
pub struct HelpPage {
    pub shell: Shell,
    /// The current contest, if there is one.
    pub contest: Option<ContestHelp>,
}

#[derive(Debug, Template)]
#[template(path = "privacy.html", config = ".config/askama.toml")]
pub struct PrivacyPage {
    pub shell: Shell,
    pub text: Vec<Block>,
    /// Whether the text is the embedded draft.
    pub is_draft: bool,
}

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    Heading(String),
    Paragraph(String),
}

impl Block {
    /// Splits a text at its empty lines. Paragraphs that begin with `# ` are headings.
    pub fn read(text: &str) -> Vec<Self> {
        let mut blocks = Vec::new();
        let mut lines: Vec<&str> = Vec::new();
        for line in text.lines().map(str::trim).chain([""]) {
            if let Some(heading) = line.strip_prefix("# ") {
                Self::close(&mut blocks, &mut lines);
                blocks.push(Self::Heading(heading.trim().to_owned()));
            } else if line.is_empty() {
                Self::close(&mut blocks, &mut lines);
            } else {
                lines.push(line);
            }
        }
        blocks
    }

    /// Ends the paragraph that `lines` hold.
    fn close(blocks: &mut Vec<Self>, lines: &mut Vec<&str>) {
        if !lines.is_empty() {
            blocks.push(Self::Paragraph(lines.join(" ")));
            lines.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_splits_into_headings_and_paragraphs() {
        let blocks = Block::read("\n# Datos\nUno\ndos.\n\n\nTres.\n#Cuatro");
        assert_eq!(
            blocks,
            [
                Block::Heading("Datos".to_owned()),
                Block::Paragraph("Uno dos.".to_owned()),
                Block::Paragraph("Tres. #Cuatro".to_owned()),
            ]
        );
        assert_eq!(Block::read(" \n"), []);
    }
}
