package caddymodule

import (
	"errors"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pronote-cas/caddy-pronote-cas/casauth"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/directory"
)

// counts is what happened on a site, whichever of its directives saw it. Every series
// is there from the start, at zero: Prometheus sees no increase in one that begins
// at one.
type counts struct {
	session, open prometheus.Counter // requests that passed, with and without one: found once, for it is nearly all of them
	decisions     *prometheus.CounterVec
	logins        *prometheus.CounterVec
	validation    prometheus.Histogram
	tickets       *prometheus.CounterVec
	resolutions   *prometheus.CounterVec
}

// actions are the values of the label kind, but for what passes.
var actions = [...]string{casauth.Redirect: "redirect", casauth.Refuse: "refuse", casauth.Show: "show", casauth.Reply: "reply"}

// The values of the label result.
const (
	loginStarted = "started" // a browser was sent to the ENT, once more after a useless ticket too
	loginOK      = "ok"      // it came back with a ticket that became a session
	// Any other is the casauth.Reason why there was no session.

	ticketIssued    = "issued"
	ticketValidated = "validated"
	ticketRefused   = "refused"
)

// The values of the label rule that are no directory.Rule.
const (
	resolvedConflict  = "conflict"
	resolvedAmbiguous = "ambiguous"
)

func newCounts() *counts {
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "pronote_cas_" + name, Help: help}, labels)
	}
	c := &counts{
		decisions:   vec("decisions_total", "Requests, by what was done with them and, where something was wrong, why.", "kind", "reason"),
		logins:      vec("logins_total", "Logins: started (sent to the ENT), ok (a session was made), or why there was none.", "result"),
		tickets:     vec("relay_tickets_total", "The relay's tickets: issued to browsers, validated for PRONOTE, refused to it.", "result"),
		resolutions: vec("directory_resolutions_total", "People looked up in the directory, by the rule that told who they are in PRONOTE.", "rule"),
		validation: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "pronote_cas_validation_duration_seconds",
			Help:    "How long the ENT took to say whose a ticket is.",
			Buckets: []float64{.05, .1, .2, .3, .5, .75, 1, 1.5, 2, 3, 5, 10, 30},
		}),
	}
	c.session, c.open = c.decisions.WithLabelValues("pass_session", ""), c.decisions.WithLabelValues("pass_open", "")
	for reason := range advised { // all there are
		c.decisions.WithLabelValues(actions[casauth.Refuse], reason)
	}
	for _, result := range []string{loginStarted, loginOK,
		string(casauth.CASUnavailable), string(casauth.CASUnreadable), string(casauth.StorageUnavailable),
		string(casauth.TicketRefused), string(casauth.ServiceRefused), string(casauth.ClockSkew), string(casauth.ForeignTicket),
		string(casauth.ProxyTicket), string(casauth.UnknownPerson), string(casauth.UnknownIdentifier),
		string(casauth.IdentifierConflict), string(casauth.AmbiguousIdentity)} {
		c.logins.WithLabelValues(result)
	}
	for _, result := range []string{ticketIssued, ticketValidated, ticketRefused} {
		c.tickets.WithLabelValues(result)
	}
	for _, rule := range []directory.Rule{directory.ByAttribute, directory.ByRow, directory.ByIdentity, directory.ByAsking, directory.ByNothing, resolvedConflict, resolvedAmbiguous} {
		c.resolutions.WithLabelValues(string(rule))
	}
	return c
}

// Destruct implements caddy.Destructor.
func (*counts) Destruct() error { return nil }

// register makes Caddy's metrics show c under the name of its site. Caddy has a new
// registry for each configuration; in one, several directives may share a site.
func (c *counts) register(registry *prometheus.Registry, site string) error {
	labelled := prometheus.WrapRegistererWith(prometheus.Labels{"site": site}, registry)
	for _, collector := range []prometheus.Collector{c.decisions, c.logins, c.validation, c.tickets, c.resolutions} {
		if err := once(labelled.Register(collector)); err != nil {
			return err
		}
	}
	return once(registry.Register(levels{}))
}

func once(err error) error {
	if errors.As(err, new(prometheus.AlreadyRegisteredError)) {
		return nil
	}
	return err
}

// decision counts what did not pass.
func (c *counts) decision(d *casauth.Decision) {
	reason := ""
	if d.Err != nil {
		reason = string(d.Err.Reason)
	}
	c.decisions.WithLabelValues(actions[d.Action], reason).Inc()
	switch d.Event {
	case casauth.LoginStarted:
		c.logins.WithLabelValues(loginStarted).Inc()
	case casauth.LoggedIn:
		c.logins.WithLabelValues(loginOK).Inc()
	case casauth.TicketValidated:
		result := ticketValidated
		if d.Err != nil {
			result = ticketRefused
		}
		c.tickets.WithLabelValues(result).Inc()
	}
	if d.Trip != "" && reason != "" {
		c.logins.WithLabelValues(reason).Inc()
	}
	if d.Granted {
		c.tickets.WithLabelValues(ticketIssued).Inc()
	}
	if d.Validated > 0 {
		c.validation.Observe(d.Validated.Seconds())
	}
	if rule := ruleOf(d.Resolved); rule != "" {
		c.resolutions.WithLabelValues(rule).Inc()
	}
}

// ruleOf names in one word how the directory found out who somebody is.
func ruleOf(r *directory.Result) string {
	switch {
	case r == nil:
		return ""
	case r.Conflict != nil:
		return resolvedConflict
	case r.Ambiguous > 1:
		return resolvedAmbiguous
	}
	return string(r.Rule)
}

// levels are how the sites of the running configuration are doing, looked at when
// somebody asks: a site that is not served any more cannot stay behind.
type levels struct{}

var (
	liveSessions  = prometheus.NewDesc("pronote_cas_sessions", "Sessions that this node knows and that are live.", []string{"site"}, nil)
	storageErrors = prometheus.NewDesc("pronote_cas_storage_errors_total", "Operations that the storage refused, or did not answer within two seconds.", []string{"site"}, nil)
	storageStale  = prometheus.NewDesc("pronote_cas_storage_stale_seconds", "For how long the storage has not answered; 0 while it does.", []string{"site"}, nil)
)

// Describe implements prometheus.Collector.
func (levels) Describe(descs chan<- *prometheus.Desc) {
	descs <- liveSessions
	descs <- storageErrors
	descs <- storageStale
}

// Collect implements prometheus.Collector.
func (levels) Collect(metrics chan<- prometheus.Metric) {
	sites, err := sitesOf(caddy.ActiveContext())
	if err != nil {
		return // Caddy has said so, at the start
	}
	of := make(map[string]casauth.Health)
	for _, s := range sites { // two may have one public_url, and different CAS servers
		health, sum := s.sessions.Health(), of[s.label()]
		of[s.label()] = casauth.Health{
			Live:          sum.Live + health.Live,
			StorageErrors: sum.StorageErrors + health.StorageErrors,
			Stale:         max(sum.Stale, health.Stale).Round(time.Millisecond),
		}
	}
	for label, health := range of {
		metrics <- prometheus.MustNewConstMetric(liveSessions, prometheus.GaugeValue, float64(health.Live), label)
		metrics <- prometheus.MustNewConstMetric(storageErrors, prometheus.CounterValue, float64(health.StorageErrors), label)
		metrics <- prometheus.MustNewConstMetric(storageStale, prometheus.GaugeValue, health.Stale.Seconds(), label)
	}
}

// label is what metrics and events call the site: public_url's host.
func (h *Handler) label() string { return h.gate.Public.Host() }
