//! Endpoints that are asked whether they are well, over real sockets.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use dozen_core::{Endpoint, EndpointSet, Ids, SystemClock};
use dozen_dataplane::{
    BoxError, EndpointView, Health, HealthPolicy, Limits, Probes, Resolve, Server, ServicePolicy,
    Unavailable, Upstream, Upstreams, Want,
};
use dozen_lifecycle::{Ready, Service, Stop};
use http::StatusCode;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

const SOON: Duration = Duration::from_secs(10);

type Registry = watch::Sender<Arc<EndpointSet>>;

/// A service that says of itself what it is told to.
struct Instance {
    address: SocketAddr,
    status: Arc<AtomicU16>,
    asked: Arc<AtomicU32>,
    _task: JoinHandle<Result<(), BoxError>>,
}

impl Instance {
    async fn start() -> Self {
        let (status, asked) = (Arc::new(AtomicU16::new(200)), Arc::new(AtomicU32::new(0)));
        let up = {
            let (status, asked) = (status.clone(), asked.clone());
            move || {
                asked.fetch_add(1, Ordering::SeqCst);
                std::future::ready(StatusCode::from_u16(status.load(Ordering::SeqCst)).unwrap())
            }
        };
        let server = Server::bind("127.0.0.1:0".parse().unwrap(), Limits::default()).unwrap();
        let address = server.local_addr();
        let service: Arc<dyn Service> = server.serving(Router::new().route("/up", get(up)));
        let _task = tokio::spawn(service.run(Stop::new(), Ready::channel().0));
        Self { address, status, asked, _task }
    }

    fn asked(&self) -> u32 {
        self.asked.load(Ordering::SeqCst)
    }
}

struct World {
    registry: Registry,
    upstreams: Arc<Upstreams>,
    upstream: Arc<Upstream>,
    stop: Stop,
    task: JoinHandle<Result<(), BoxError>>,
}

fn set(addresses: &[SocketAddr]) -> Arc<EndpointSet> {
    let endpoints = addresses.iter().map(|address| Endpoint::at(address.to_string())).collect();
    Arc::new(EndpointSet { service: "orders".into(), version: 1, endpoints })
}

fn often() -> ServicePolicy {
    let interval = Duration::from_millis(20);
    let timeout = Duration::from_millis(200);
    let health = HealthPolicy { path: "/up".into(), interval, timeout, ..HealthPolicy::default() };
    ServicePolicy { health: Some(health), ..ServicePolicy::default() }
}

impl World {
    fn start(addresses: &[SocketAddr], policy: ServicePolicy) -> Self {
        let (registry, watching) = watch::channel(set(addresses));
        let resolve: Resolve = Arc::new(move |_| Some(watching.clone()));
        let upstreams = Arc::new(Upstreams::new(resolve, policy));
        let upstream = upstreams.get("orders").unwrap();
        let probes = Arc::new(Probes::new(upstreams.clone(), Ids::new(Arc::new(SystemClock), 7)));
        let stop = Stop::new();
        let task = tokio::spawn(probes.run(stop.clone(), Ready::channel().0));
        Self { registry, upstreams, upstream, stop, task }
    }

    async fn until(&self, what: &str, holds: impl Fn(&[EndpointView]) -> bool) {
        let holding = async {
            while !holds(&self.upstream.endpoints()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let in_time = tokio::time::timeout(SOON, holding).await;
        assert!(in_time.is_ok(), "{what}: {:?}", self.upstream.endpoints());
    }

    fn chosen(&self) -> Vec<String> {
        let pick = |random: u64| {
            let random = random.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            self.upstream.pick(&Want::new(random)).unwrap().address().to_string()
        };
        let mut chosen: Vec<_> = (0..50).map(pick).collect();
        chosen.sort_unstable();
        chosen.dedup();
        chosen
    }

    async fn end(self) {
        self.stop.soft.cancel();
        tokio::time::timeout(SOON, self.task).await.unwrap().unwrap().unwrap();
    }
}

#[tokio::test]
async fn sd_m6_an_endpoint_that_says_it_is_ill_gets_nothing_until_it_is_well() {
    let (first, second) = (Instance::start().await, Instance::start().await);
    let world = World::start(&[first.address, second.address], often());
    world.until("both are well", |all| all.iter().all(|one| one.probed == Health::Healthy)).await;
    assert_eq!(world.chosen().len(), 2);
    first.status.store(503, Ordering::SeqCst);
    world.until("the first is ill", |all| all[0].probed == Health::Unhealthy).await;
    assert_eq!(world.chosen(), [second.address.to_string()]);
    second.status.store(500, Ordering::SeqCst);
    world.until("both are ill", |all| all.iter().all(|one| one.probed == Health::Unhealthy)).await;
    assert_eq!(world.upstream.pick(&Want::new(1)).unwrap_err(), Unavailable::NoneHealthy);
    first.status.store(204, Ordering::SeqCst);
    world.until("the first is well", |all| all[0].probed == Health::Healthy).await;
    assert_eq!(world.chosen(), [first.address.to_string()]);
    world.end().await;
}

#[tokio::test]
async fn who_refuses_or_never_answers_is_ill() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addresses = [silent.local_addr().unwrap(), closed.local_addr().unwrap()];
    drop(closed);
    let well = Instance::start().await;
    let world = World::start(&[addresses[0], addresses[1], well.address], often());
    world.until("two are ill", |all| all[..2].iter().all(|one| one.probed == Health::Unhealthy)).await;
    assert_eq!(world.chosen(), [well.address.to_string()]);
    assert!(world.upstream.view().totals.probes_failed >= 6);
    world.end().await;
}

#[tokio::test]
async fn probes_end_with_their_endpoint_and_with_their_policy() {
    let (first, second) = (Instance::start().await, Instance::start().await);
    let world = World::start(&[first.address, second.address], often());
    world.until("both are asked", |_| first.asked() > 2 && second.asked() > 2).await;
    world.registry.send_replace(set(&[second.address]));
    let (before, later) = (first.asked(), second.asked() + 10);
    world.until("the second is asked further", |_| second.asked() > later).await;
    assert!(first.asked() <= before + 1, "one may have been under way");
    // It comes back; and then nobody is to be asked.
    world.registry.send_replace(set(&[first.address, second.address]));
    world.until("the first is asked again", |_| first.asked() > before + 1).await;
    world.upstreams.configure("orders", ServicePolicy::default());
    world.until("nothing is said", |all| all.iter().all(|one| one.probed == Health::Unknown)).await;
    let control = World::start(&[second.address], often());
    let (before, later) = (first.asked(), second.asked() + 20);
    control.until("somebody else asks", |_| second.asked() > later).await;
    assert!(first.asked() <= before + 1);
    control.end().await;
    world.end().await;
}

#[tokio::test]
async fn an_endpoint_is_asked_once_in_its_interval_however_many_routes_lead_to_it() {
    let instance = Instance::start().await;
    let world = World::start(&[instance.address], often());
    for _ in 0..50 {
        assert!(Arc::ptr_eq(&world.upstreams.get("orders").unwrap(), &world.upstream));
    }
    world.until("it is asked", |_| instance.asked() > 0).await;
    let (began, asked) = (std::time::Instant::now(), instance.asked());
    world.until("it is asked often", |_| instance.asked() >= asked + 20).await;
    // 20 ms less a fifth of jitter, if the machine is idle; a busy one asks less often.
    assert!(began.elapsed() >= Duration::from_millis(16 * 19), "{:?}", began.elapsed());
    world.end().await;
}
