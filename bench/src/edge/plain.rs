//! Plain proxying: requests per second of the proxy's processor time.

use super::load::closed;
use super::origin::{self, ANSWERS};
use super::peer::{OURS, PEERS, Proxy};
use crate::bar::{Figure, Measured, Target, median};
use crate::{Context, Failure};

const CONNECTIONS: [u32; 2] = [32, 256];
/// How long one sample lasts.
const SECONDS: u32 = 3;
/// How many times the best of the others.
const TARGET: f64 = 1.3;

pub(super) fn measure(context: &Context) -> Result<Measured, Failure> {
    let folder = tempfile::tempdir()?;
    let (_origin, at) = origin::start(folder.path())?;
    let wanted = PEERS.iter().filter(|peer| peer.name == OURS || context.is_peer_wanted(peer.name));
    let proxies: Vec<Proxy> = wanted.map(|peer| peer.start(folder.path(), at)).collect::<Result<_, _>>()?;
    let mut figures = Vec::new();
    for (answer, _) in ANSWERS {
        for connections in CONNECTIONS {
            let name = format!("edge.plain-{answer}-{connections}.per-cpu-second");
            if context.is_wanted(&name) {
                figures.push(compare(context, &proxies, answer, connections, name)?);
            }
        }
    }
    Ok(Measured::of(figures))
}

fn compare(
    context: &Context,
    proxies: &[Proxy],
    answer: &str,
    connections: u32,
    name: String,
) -> Result<Figure, Failure> {
    // Once unmeasured, so that pools are full and buffers made.
    for proxy in proxies {
        closed(proxy.at, answer, connections, 1, &[])?;
    }
    let mut rates: Vec<Vec<f64>> = vec![Vec::new(); proxies.len()];
    for round in 0..context.rounds {
        let mut line = format!("  round {} of {}, {name}:", round + 1, context.rounds);
        for turn in 0..proxies.len() {
            let at = (turn + round) % proxies.len();
            let before = proxies[at].process.cpu();
            let requests = closed(proxies[at].at, answer, connections, SECONDS, &[])?;
            let used = proxies[at].process.cpu().saturating_sub(before);
            rates[at].push(requests / used.as_secs_f64().max(0.01));
            line += &format!("  {} {:.0}", proxies[at].name, rates[at][round]);
        }
        eprintln!("{line}");
    }
    let all = || proxies.iter().zip(&rates);
    let middle = |rates: &[f64]| median(rates.to_vec());
    let (_, ours) = all().find(|(proxy, _)| proxy.name == OURS).ok_or("ours is missing")?;
    // By its median, so that the bar names one peer and not the luckiest of each round.
    let (best, theirs) = all()
        .filter(|(proxy, _)| proxy.name != OURS)
        .max_by(|(_, one), (_, other)| middle(one).total_cmp(&middle(other)))
        .ok_or("there is nobody to compare with")?;
    let shown: Vec<String> =
        all().map(|(proxy, rates)| format!("{} {:.0}", proxy.name, middle(rates))).collect();
    Ok(Figure {
        name,
        measured: median(ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect()),
        unit: format!("x({})", best.name),
        target: Target::AtLeast(TARGET),
        note: format!("requests per CPU-second, {connections} connections (wrk): {}", shown.join(", ")),
    })
}
