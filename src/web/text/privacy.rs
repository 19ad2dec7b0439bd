//! A neutral draft of the data policy, for installations whose organisers have not set their own.

use crate::language::Language;

/// Returns the draft: paragraphs apart by empty lines, headings after `# `.
pub fn draft(language: Language) -> &'static str {
    language.select(SPANISH, ENGLISH)
}

const SPANISH: &str = "\
Este texto explica qué datos tratamos y para qué, según la Ley 1581 de 2012 y el Decreto 1377 de 2013.

# Qué datos guardamos

De tu cuenta: nombre, apellido, correo electrónico, ciudad y país. De la contraseña solo se guarda una huella, que nadie puede leer.

De tus videos: el archivo que subes, el clip que hacemos de él, su título y sus votos.

De quienes organizan: qué hicieron, cuándo y con qué correo, para poder rendir cuentas. Ese registro no se borra.

Tu dirección de internet se usa por poco tiempo para evitar abusos. No hay publicidad ni rastreadores de terceros.

# Para qué

Para mostrar tus videos, contar los votos, publicar el ranking por ciudad y avisarte del estado de tus videos.

# Qué es público

Tu nombre, tu ciudad, los videos que publiques y sus votos. Tu correo nunca se publica.

# Menores de edad

Si tienes menos de 18 años, tu madre, tu padre o tu representante debe autorizar la cuenta y cada video. Si alguien \
aparece en un video sin autorización, la organización lo oculta apenas lo sepa.

Los reportes los ve solo la organización: ni quien subió el video ni el público saben quién reportó.

# Tus derechos

Puedes conocer, actualizar, corregir y borrar tus datos, y retirar la autorización. Borrar un video borra también su \
clip y sus votos. Escribe a la organización; la respuesta llega en un máximo de diez días hábiles.
";

const ENGLISH: &str = "\
This text explains which data we process and why, under the Colombian Law 1581 of 2012 and Decree 1377 of 2013.

# What we keep

Of your account: first name, last name, e-mail address, city and country. The password is kept as a hash that nobody \
can read.

Of your videos: the file you upload, the clip we make of it, its title and its votes.

Of the organisers: what they did, when, and their e-mail address, so that they can account for it. This record is not \
deleted.

Your internet address is used for a short time to prevent abuse. There is no advertising and no third-party tracking.

# What for

To show your videos, count the votes, publish the ranking by city and tell you the state of your videos.

# What is public

Your name, your city, the videos that you publish and their votes. Your e-mail address is never published.

# Minors

If you are under 18, your mother, father or guardian must authorise the account and each video. If somebody appears in \
a video without authorisation, the organisers hide it as soon as they know.

Only the organisers see reports: neither the player nor the public learns who reported a video.

# Your rights

You may see, update, correct and delete your data, and withdraw your authorisation. Deleting a video deletes its clip \
and its votes as well. Write to the organisers; the answer takes at most ten working days.
";
