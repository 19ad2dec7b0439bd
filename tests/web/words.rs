//! Words that betray the other language, and sentences that modules need.

use std::fs;

use crate::{stage::Stage, visitor::Visitor};

/// Frequent words that the other language does not have.
const SPANISH: &str = "el los las del una tu tus que para por con su sus y es son está están ya aún \
    cuando donde como más tu puedes debe dura pesa votar voto votos votaste subir sube entrar \
    entra cuenta correo contraseña nombre apellido ciudad ciudades puesto jugador jugadores ver \
    todas todos buscar clasificación mejor página siguiente anterior hace falta faltan \
    cerrar sesión publicar retirar eliminar ocultar mostrar motivo fila listo falló preparando \
    organización ayuda privacidad título duración celular";
const ENGLISH: &str = "the of your you and for with to is are was it its this that from by who when \
    where how vote votes voted upload uploaded log account mail password name city cities place \
    player players watch see all search best page next previous ago left close publish withdraw \
    delete hide show reason line ready failed waiting organisers help privacy title \
    phone must lasts seconds minutes";

/// What a page says, also to users of screen readers, without words that are marked as another
/// language.
const TEXT: &str = "
    const page = document.body.cloneNode(true);
    for (const other of page.querySelectorAll('noscript, code, [lang]')) other.remove();
    const names = ['aria-label', 'placeholder', 'alt', 'title'];
    const elements = [...page.querySelectorAll('*')];
    const said = elements.flatMap((e) => names.map((name) => e.getAttribute(name) ?? ''));
    for (const element of elements) element.append(' ');
    return [page.textContent, ...said].join(' ');";

/// Returns the words of the page that are not in `language`, its own. `written` is what users have
/// written.
pub async fn foreign_words(visitor: &Visitor, language: &str, written: &[&str]) -> Vec<String> {
    let text = visitor.run(TEXT, serde_json::Value::Null).await;
    let mut text = text.as_str().unwrap().to_owned();
    for words in written {
        text = text.replace(words, " ");
    }
    let text = text.to_lowercase();
    let foreign = if language == "es" { ENGLISH } else { SPANISH };
    let foreign: Vec<&str> = foreign.split_whitespace().collect();
    let words = text.split(|letter: char| !letter.is_alphabetic());
    let mut found: Vec<String> = words
        .filter(|word| foreign.contains(word))
        .map(str::to_owned)
        .collect();
    found.sort();
    found.dedup();
    found
}

/// Returns what a module reads of its sentences: `name` of `t.name`, `live.name` of `t.live.name`.
fn sentences_of(module: &str) -> Vec<String> {
    let file = format!("{}/web/assets/{module}", env!("CARGO_MANIFEST_DIR"));
    let source = fs::read_to_string(file).unwrap();
    let is_name = |letter: char| letter.is_alphanumeric() || letter == '_';
    let mut names: Vec<String> = Vec::new();
    for (index, _) in source.match_indices("t.") {
        let (before, name) = source.split_at(index);
        if before.ends_with(|letter| is_name(letter) || letter == '.') {
            continue;
        }
        let name = name.trim_start_matches("t.");
        let end = name.find(|letter| !is_name(letter) && letter != '.');
        let (name, _) = name.split_at(end.unwrap_or(name.len()));
        names.push(name.trim_end_matches('.').to_owned());
    }
    names
}

#[tokio::test]
async fn modules_find_their_sentences() {
    let stage = Stage::set().await;
    let ana = stage.player("Ana", "Rentería", "Cali").await;
    let mut visitor = Visitor::of(&stage).await;
    visitor.be(&stage, &ana).await;
    visitor.open("/subir").await;
    for (module, owner) in [("page.js", "body"), ("subir.js", "[data-upload]")] {
        let names = sentences_of(module);
        assert!(names.len() > 10, "{module}: {names:?}");
        let read = format!("return document.querySelector('{owner}').dataset.t");
        let sentences = visitor.run(&read, serde_json::Value::Null).await;
        let sentences: serde_json::Value =
            serde_json::from_str(sentences.as_str().unwrap()).unwrap();
        for name in names {
            let pointer = format!("/{}", name.replace('.', "/"));
            let is_there = sentences.pointer(&pointer).is_some();
            assert!(is_there, "{module} needs {name}");
        }
    }
    visitor.end().await;
}
