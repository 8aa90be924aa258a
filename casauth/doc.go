// Package casauth decides what becomes of a request to a PRONOTE.net that stands
// behind the CAS login of a school's ENT. It knows nothing of Caddy: a [Visit]
// goes in, one [Decision] comes out, and nothing is logged or counted here.
//
// # One login
//
//	browser                 Gate                        CAS server        PRONOTE.net
//	   │ GET /eleve.html      │                             │                  │
//	   ├─────────────────────►│ no session, a page          │                  │
//	   │ 302 /login?service=… │                             │                  │
//	   │◄─────────────────────┤ initiation cookie:          │                  │
//	   │                      │ "set out for /eleve.html"   │                  │
//	   │ GET /login           │                             │                  │
//	   ├───────────────────────────────────────────────────►│                  │
//	   │ 302 /eleve.html?ticket=ST-1                        │                  │
//	   │◄───────────────────────────────────────────────────┤                  │
//	   │ GET /eleve.html?ticket=ST-1                        │                  │
//	   ├─────────────────────►│ set out for it? once only   │                  │
//	   │                      │ ST-1, service               │                  │
//	   │                      ├────────────────────────────►│                  │
//	   │                      │ user, attributes            │                  │
//	   │                      │◄────────────────────────────┤                  │
//	   │                      │ who is that in PRONOTE?     │                  │
//	   │ 302 /eleve.html      │ session stored              │                  │
//	   │◄─────────────────────┤                             │                  │
//	   │ GET /eleve.html      │                             │                  │
//	   ├─────────────────────►│ session: X-Pronote-Id       │                  │
//	   │                      ├───────────────────────────────────────────────►│
//
// # Where to read on
//
//   - visit.go has the two ends, [Visit] and [Decision].
//   - gate.go is the whole decision in one switch; login.go, logout.go, people.go
//     (who is that, and may they come here) and delegation.go (PRONOTE asks us) are
//     its longer branches.
//   - session.go and sessions.go keep logins: one record in the [Store], written
//     at login and only ever deleted; cache.go and live.go are this node's memory
//     of them, guard.go its patience with a store that fails, roll.go the list of
//     who is logged in, for those who look after them, health.go how all that fares.
//   - initiation.go is what the browser keeps for us while it is away, keyring.go
//     the key that signs it.
//   - errors.go is the closed set of reasons why something is refused.
//
// The subpackages know one thing each and not each other: protocol is the CAS
// wire, pronote PRONOTE's addresses, address public and private origins, directory
// who is who in PRONOTE, relay the CAS server towards PRONOTE, ent the French ENTs.
// castest and pronotetest are the two servers around us, for tests and for the
// demo; storetest is what every [Store] must pass.
package casauth
