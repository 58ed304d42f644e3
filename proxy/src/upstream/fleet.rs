//! All servers there are, and who looks after them: they go on from one generation of the rules to the next
//! while nothing about them changes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;

use super::backend::{Backend, Place};
use super::keeper::{about, keep};
use super::pool::Pool;
use super::prober::Prober;
use super::secure::{Secure, Wardrobe};
use crate::config::{Address, Site, Upstream, is_loopback};
use crate::record::{Recorder, Standing};

/// Those of the generation in force, and what others are made with.
pub(crate) struct Fleet {
    workshop: Arc<Workshop>,
    now: Pools,
}

/// Those of one generation.
#[derive(Clone, Default)]
pub(crate) struct Pools(Vec<Tended>);

#[derive(Clone)]
struct Tended {
    pool: Arc<Pool>,
    task: Arc<AbortHandle>,
}

impl Pools {
    /// The servers of what is described so.
    pub(crate) fn of(&self, upstream: &Upstream) -> Option<Arc<Pool>> {
        let same = self.0.iter().find(|tended| tended.pool.upstream == *upstream)?;
        Some(Arc::clone(&same.pool))
    }

    /// Each of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Pool>> {
        self.0.iter().map(|tended| &tended.pool)
    }

    /// How they are, by the names that the configuration has for them.
    pub(crate) fn standings(&self) -> BTreeMap<Arc<str>, Standing> {
        let mut all = BTreeMap::<_, Standing>::new();
        for backend in self.iter().flat_map(|pool| pool.backends().to_vec()) {
            let standing = all.entry(Arc::clone(backend.name())).or_default();
            standing.open += i64::from(backend.open());
            *if backend.is_up() { &mut standing.up } else { &mut standing.down } += 1;
        }
        all
    }

    /// Nobody looks any more after those that are not among these.
    fn end_without(&self, stay: &Self) {
        for one in &self.0 {
            if !stay.0.iter().any(|other| Arc::ptr_eq(&other.task, &one.task)) {
                one.task.abort();
            }
        }
    }

    /// Whether every name has been looked up, whatever came of it.
    pub(crate) fn are_known(&self) -> bool {
        self.iter().all(|pool| pool.known.load(Ordering::Relaxed))
    }
}

impl Fleet {
    pub(crate) fn new(body_timeout: Duration, recorder: Recorder) -> Self {
        let workshop = Workshop { body_timeout, prober: Arc::new(Prober::new()), recorder };
        Self { workshop: Arc::new(workshop), now: Pools::default() }
    }

    /// Looks after these too. Nothing is taken from those before, until [`Fleet::only`].
    pub(crate) fn tend(&self, sites: &[Site], tasks: &mut JoinSet<()>) -> Pools {
        let mut pools = Pools::default();
        for upstream in sites.iter().map(|site| &site.upstream) {
            let same = |tended: &&Tended| tended.pool.upstream == *upstream;
            if pools.0.iter().any(|tended| same(&tended)) {
                continue;
            }
            let goes_on = self.now.0.iter().find(same).cloned();
            pools.0.push(goes_on.unwrap_or_else(|| self.begin(upstream, tasks)));
        }
        pools
    }

    fn begin(&self, upstream: &Upstream, tasks: &mut JoinSet<()>) -> Tended {
        let harbour = Harbour::new(upstream, &self.workshop);
        let pool = Arc::clone(&harbour.pool);
        Tended { pool, task: Arc::new(tasks.spawn(harbour.run())) }
    }

    /// From now on only these.
    pub(crate) fn only(&mut self, next: Pools) {
        self.now.end_without(&next);
        self.now = next;
    }

    /// Those of these that have just come are not wanted after all.
    pub(crate) fn let_go(&self, come: &Pools) {
        come.end_without(&self.now);
    }
}

/// What servers are made and looked at with.
struct Workshop {
    body_timeout: Duration,
    prober: Arc<Prober>,
    recorder: Recorder,
}

/// One pool, and where its servers come and go.
struct Harbour {
    pool: Arc<Pool>,
    workshop: Arc<Workshop>,
    /// Of each address that is written: which servers it stands for, and who keeps each.
    moorings: Vec<Mooring>,
    secure: Option<Arc<Secure>>,
    keepers: JoinSet<()>,
}

struct Mooring {
    address: Address,
    kept: Vec<(Arc<Backend>, AbortHandle)>,
    /// Whether the last look has found anything: that it did not is told once.
    found: bool,
}

impl Harbour {
    /// What needs no looking up is there at once.
    fn new(upstream: &Upstream, workshop: &Arc<Workshop>) -> Self {
        let moor =
            |address: &Address| Mooring { address: address.clone(), kept: Vec::new(), found: true };
        let mut harbour = Self {
            pool: Arc::new(Pool::new(upstream, Vec::new())),
            workshop: Arc::clone(workshop),
            moorings: upstream.addresses.iter().map(moor).collect(),
            secure: None,
            keepers: JoinSet::new(),
        };
        harbour.secure = upstream.tls.as_ref().map(|tls| {
            let gauges = |file: &Path| workshop.recorder.certificate(file);
            let (secure, wardrobe) = Wardrobe::open(tls, gauges);
            harbour.keepers.spawn(wardrobe.run());
            secure
        });
        for index in 0..harbour.moorings.len() {
            let place = match upstream.addresses.get(index) {
                Some(Address::Tcp(address)) => Place::Tcp(*address),
                Some(Address::Unix(path)) => Place::Unix(path.clone()),
                Some(Address::Name { .. }) | None => continue,
            };
            harbour.moor(index, vec![place]);
        }
        harbour.publish();
        let is_name = |address: &Address| matches!(address, Address::Name { .. });
        let known = !upstream.addresses.iter().any(is_name);
        harbour.pool.known.store(known, Ordering::Relaxed);
        harbour
    }

    async fn run(mut self) {
        let has_names = !self.pool.known.load(Ordering::Relaxed);
        loop {
            if has_names {
                self.look_up().await;
            }
            self.wait(if has_names { about(LOOK) } else { Duration::MAX }).await;
        }
    }

    /// Until it is time for the next look; and breaks if somebody who keeps a server has broken.
    async fn wait(&mut self, pause: Duration) {
        let pause = sleep(pause);
        tokio::pin!(pause);
        loop {
            let ended = tokio::select! {
                () = &mut pause => return,
                Some(ended) = self.keepers.join_next() => ended,
            };
            if let Err(broken) = ended
                && broken.is_panic()
            {
                std::panic::resume_unwind(broken.into_panic());
            }
        }
    }

    /// Every name at once, each for as long as it takes: none is asked for twice at a time.
    async fn look_up(&mut self) {
        let mut looks = JoinSet::new();
        for (index, mooring) in self.moorings.iter().enumerate() {
            if let Address::Name { host, port } = &mooring.address {
                let (host, port) = (host.clone(), *port);
                looks.spawn(async move {
                    let found = lookup_host((host.as_str(), port)).await;
                    (index, found.map(Iterator::collect::<Vec<SocketAddr>>))
                });
            }
        }
        while let Some(Ok((index, found))) = looks.join_next().await {
            self.found(index, found);
            self.publish();
        }
        self.pool.known.store(true, Ordering::Relaxed);
    }

    fn found(&mut self, index: usize, found: std::io::Result<Vec<SocketAddr>>) {
        let Some(mooring) = self.moorings.get_mut(index) else { return };
        let name = mooring.address.to_string();
        let counts = self.workshop.recorder.upstream(&name);
        let found = found.map(|all| usable(all, self.pool.upstream.trust_network));
        counts.looked_up(found.as_ref().is_ok_and(|all| !all.is_empty()));
        let why = match found {
            Ok(all) if !all.is_empty() => {
                mooring.found = true;
                return self.moor(index, all.into_iter().map(Place::Tcp).collect());
            }
            Ok(_) => "no address that may be used".to_owned(),
            Err(error) => error.to_string(),
        };
        // What was good is kept: that nobody answers says nothing about the servers.
        if std::mem::take(&mut mooring.found) {
            tracing::warn!(upstream = name, why, "upstream not looked up");
        }
    }

    /// From now on these; those that were there before stay as they are.
    fn moor(&mut self, index: usize, places: Vec<Place>) {
        let Self { pool, workshop, moorings, secure, keepers } = self;
        let Some(mooring) = moorings.get_mut(index) else { return };
        let (kept, gone): (Vec<_>, Vec<_>) = std::mem::take(&mut mooring.kept)
            .into_iter()
            .partition(|(backend, _)| places.contains(&backend.place));
        for (backend, keeper) in gone {
            tracing::info!(upstream = &**backend.name(), address = %backend.place, "upstream gone");
            keeper.abort();
        }
        mooring.kept = kept;
        for place in places {
            if mooring.kept.iter().any(|(backend, _)| backend.place == place) {
                continue;
            }
            let counts = workshop.recorder.upstream(&mooring.address.to_string());
            let made = Backend::new(
                place,
                &mooring.address,
                &pool.upstream,
                secure.clone(),
                workshop.body_timeout,
                counts,
            );
            match made {
                Ok(backend) => {
                    let backend = Arc::new(backend);
                    let check = pool.upstream.check.clone();
                    let keeper = keep(Arc::clone(&backend), check, Arc::clone(&workshop.prober));
                    mooring.kept.push((backend, keepers.spawn(keeper)));
                }
                Err(error) => tracing::error!(%error, "upstream cannot be dialled"),
            }
        }
    }

    /// Written only where something is another than before.
    fn publish(&self) {
        let complete = self.moorings.iter().all(|mooring| !mooring.kept.is_empty());
        let kept = self.moorings.iter().flat_map(|mooring| &mooring.kept);
        let all: Vec<Arc<Backend>> = kept.map(|(backend, _)| Arc::clone(backend)).collect();
        let now = self.pool.all.load();
        let same = now.len() == all.len()
            && now.iter().zip(&all).all(|(one, other)| Arc::ptr_eq(one, other));
        if !same {
            self.pool.all.store(Arc::new(all));
        }
        self.pool.complete.store(complete, Ordering::Relaxed);
    }
}

/// Each once, in an order that does not change with the answer's.
fn usable(mut all: Vec<SocketAddr>, trust_network: bool) -> Vec<SocketAddr> {
    all.retain(|address| trust_network || is_loopback(address.ip()));
    all.sort_unstable();
    all.dedup();
    all.truncate(MOST);
    all
}

/// Between two looks at a name. How long an answer may be believed, the system does not tell.
const LOOK: Duration = Duration::from_secs(5);

/// Of one name. More servers than any name stands for.
const MOST: usize = 64;
