package caddymodule

// block reads a subdirective's block; line reads one line of it.
func (p *parser) block(line func(name string) error) error {
	block := p.Val()
	if p.NextArg() {
		return p.Errf("%s takes a block and no arguments, but there is %q", block, p.Val())
	}
	for nesting := p.Nesting(); p.NextBlock(nesting); {
		name := p.Val()
		if err := p.open(block + " " + name); err != nil {
			return err
		}
		if err := line(name); err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) session() error {
	s := new(SessionSettings)
	p.h.Session = s
	return p.block(func(name string) error {
		switch name {
		case "store":
			return p.one(&s.Store)
		case "ttl":
			return p.duration(&s.TTL)
		case "idle":
			return p.duration(&s.Idle)
		case "grace":
			return p.duration(&s.Grace)
		case "cookie_name":
			return p.one(&s.CookieName)
		case "same_site":
			return p.one(&s.SameSite)
		}
		return p.Errf("unknown subdirective %q of session: store, ttl, idle, grace, cookie_name or same_site", name)
	})
}

func (p *parser) relay() error {
	r := new(RelaySettings)
	p.h.Relay = r
	return p.block(func(name string) error {
		switch name {
		case "allow_from":
			return p.some("relay allow_from", &r.AllowFrom)
		case "service":
			return p.some("relay service", &r.Service)
		case "ticket_ttl":
			return p.duration(&r.TicketTTL)
		case "forward":
			r.Forward = true
			return p.end()
		}
		return p.Errf("unknown subdirective %q of relay: allow_from, service, ticket_ttl or forward", name)
	})
}

func (p *parser) directory() error {
	d := new(DirectorySettings)
	p.h.Directory = d
	return p.block(func(name string) error {
		switch name {
		case "file":
			return p.one(&d.File)
		case "match":
			d.Match = new(MatchSettings)
			if !p.NextArg() || p.Val() != "identity" {
				return p.Errf("match takes identity and then on or off, as in: match identity on")
			}
			return p.one(&d.Match.Identity)
		case "retention":
			return p.duration(&d.Retention)
		case "attributes":
			return p.attributes(d)
		}
		return p.Errf("unknown subdirective %q of directory: file, match, retention or attributes", name)
	})
}

func (p *parser) attributes(d *DirectorySettings) error {
	a := new(PersonAttributes)
	d.Attributes = a
	return p.block(func(name string) error {
		into, known := map[string]*string{
			"last_name": &a.LastName, "first_name": &a.FirstName, "birth_date": &a.BirthDate, "category": &a.Category,
		}[name]
		if !known {
			return p.Errf("unknown subdirective %q of attributes: last_name, first_name, birth_date or category", name)
		}
		return p.one(into)
	})
}
