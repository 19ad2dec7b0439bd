//! What the light rendition costs, on a calm and on a wild film.

use super::{
    Studio,
    films::{FILMS, WILD},
    float, median_of, own_cpu, rounds, size,
};
use anb::media::JobReport;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: make bench-media"]
async fn cost_of_the_light_rendition() {
    println!("| film | without: CPU s | with | | peak MB | with | clip MB | light MB | thumb KB |");
    println!("|---|---|---|---|---|---|---|---|---|");
    let [calm, ..] = &FILMS;
    let without = Studio::open(&["--light-rendition=off"]).await;
    let with = Studio::open(&[]).await;
    for film in [calm, &WILD] {
        let source = film.file();
        let (mut cpu, mut peak, mut sizes) = ([vec![], vec![]], [0; 2], None);
        // Alternating, so that both see the same load of the machine.
        for _ in 0..rounds() {
            for (number, studio) in [&without, &with].into_iter().enumerate() {
                let before = own_cpu();
                let scratch = studio.media.scratch().unwrap();
                let mut report = JobReport::default();
                let making = studio.media.make_clip(
                    &source,
                    studio.media.rules(),
                    &scratch,
                    &mut report,
                    |_| {},
                );
                let clip = making.await.unwrap();
                cpu[number].push(own_cpu() - before);
                peak[number] = peak[number].max(report.making.peak_bytes.unwrap());
                if let Some(light) = clip.light {
                    sizes = Some((clip.bytes, light.bytes, size(&clip.thumb)));
                }
            }
        }
        let [without, with] = cpu.map(median_of);
        let (clip, light, thumb) = sizes.unwrap();
        println!(
            "| {} | {without:.1} | {with:.1} | ×{:.2} | {} | {} | {:.1} | {:.2} | {:.1} |",
            film.name,
            with / without,
            peak[0] / 1_000_000,
            peak[1] / 1_000_000,
            float(clip) / 1e6,
            float(light) / 1e6,
            float(thumb) / 1024.0,
        );
    }
}
