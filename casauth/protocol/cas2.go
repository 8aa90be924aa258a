package protocol

import (
	"slices"
	"strings"

	"github.com/beevik/etree"
)

// casNS is the namespace of CAS 2 and 3, http for ever (CAS 3.0 appendix A).
const casNS = "http://www.yale.edu/tp/cas"

// outcomes are the elements of which a serviceResponse holds exactly one.
var outcomes = []string{"authenticationSuccess", "authenticationFailure", "proxySuccess", "proxyFailure"}

// readCAS2 reads a serviceResponse (CAS 3.0 §2.5.2). CAS 2 and 3 differ in the
// address only: CAS 2 servers send attributes too.
func readCAS2(root *etree.Element) (Answer, error) {
	if !is(root, casNS, "serviceResponse") {
		return Answer{}, wrongRoot(root, "serviceResponse")
	}
	children, err := elements(root)
	if err != nil {
		return Answer{}, err
	}
	switch len(children) {
	case 0:
		return Answer{}, malformed(ReasonNoOutcome)
	case 1:
	default:
		// CVE-2017-1000071: a server that prints a ticket unescaped puts a success
		// of the attacker's between two failures.
		return Answer{}, malformed(ReasonTwoOutcomes)
	}
	outcome := children[0]
	switch {
	case !slices.Contains(outcomes, outcome.Tag):
		return Answer{}, malformed(ReasonNoOutcome)
	case outcome.NamespaceURI() != casNS:
		return Answer{}, malformed(ReasonNamespace).with("%s", outcome.Tag)
	case hasOutcome(outcome):
		return Answer{}, malformed(ReasonNestedOutcome)
	case outcome.Tag == "authenticationSuccess":
		return readSuccess(outcome)
	case outcome.Tag == "authenticationFailure":
		return Answer{}, readFailure(outcome)
	}
	return Answer{}, malformed(ReasonProxyAnswer)
}

// hasOutcome tells whether anything below e is called as an outcome is.
func hasOutcome(e *etree.Element) bool {
	for c := range e.ChildElementsSeq() {
		if slices.Contains(outcomes, c.Tag) || hasOutcome(c) {
			return true
		}
	}
	return false
}

func readFailure(e *etree.Element) error {
	if _, ok := leafText(e); !ok {
		return malformed(ReasonFailureMarkup)
	}
	return refused(attribute(e, "code"))
}

// readSuccess reads an authenticationSuccess. Its children come in any order;
// those that the protocol does not name are attributes, as RubyCAS, Edifice and
// django-cas-server write them.
func readSuccess(e *etree.Element) (Answer, error) {
	children, err := elements(e)
	if err != nil {
		return Answer{}, err
	}
	blocks := map[string]*etree.Element{}
	bag := newAttributes()
	for _, c := range children {
		switch c.Tag {
		case "user", "attributes", "proxyGrantingTicket", "proxies":
			// An element that only looks like one of these is what one reader takes and
			// another does not: not even as an attribute.
			if c.NamespaceURI() != casNS {
				return Answer{}, malformed(ReasonNamespace).with("%s", c.Tag)
			}
			if blocks[c.Tag] != nil && c.Tag == "user" {
				return Answer{}, malformed(ReasonTwoUsers)
			}
			if blocks[c.Tag] != nil {
				return Answer{}, malformed(ReasonTwoBlocks).with("%s", c.Tag)
			}
			blocks[c.Tag] = c
			if c.Tag == "attributes" {
				bag.block(c)
			}
		default:
			bag.element(c)
		}
	}
	return answer(blocks, bag)
}

func answer(blocks map[string]*etree.Element, bag *attributes) (Answer, error) {
	a := Answer{Attributes: bag.values}
	var err error
	if a.User, err = readUser(blocks["user"]); err != nil {
		return Answer{}, err
	}
	if e := blocks["proxyGrantingTicket"]; e != nil {
		text, ok := leafText(e)
		if !ok {
			return Answer{}, malformed(ReasonTwoBlocks).with("proxyGrantingTicket")
		}
		a.ProxyGrantingTicket = text
	}
	if e := blocks["proxies"]; e != nil {
		if a.Proxies, err = readProxies(e); err != nil {
			return Answer{}, err
		}
	}
	return a, nil
}

// readUser reads the one element that says who it is; e may be nil.
func readUser(e *etree.Element) (string, error) {
	if e == nil {
		return "", malformed(ReasonNoUser)
	}
	text, ok := plainText(e)
	if !ok {
		return "", malformed(ReasonUserMarkup)
	}
	return cleanUser(text)
}

// readProxies reads the chain of a proxied login. Nothing in it is skipped: a
// chain that looks empty would pass for a login by the person.
func readProxies(e *etree.Element) ([]string, error) {
	children, err := elements(e)
	if err != nil {
		return nil, err
	}
	var chain []string
	for _, c := range children {
		text, ok := leafText(c)
		if !ok || !is(c, casNS, "proxy") {
			return nil, malformed(ReasonTwoBlocks).with("proxies")
		}
		chain = append(chain, text)
	}
	return chain, nil
}

// attribute returns the unprefixed XML attribute key of e, trimmed, or "".
func attribute(e *etree.Element, key string) string {
	value, _ := lookAttribute(e, key)
	return value
}

func lookAttribute(e *etree.Element, key string) (string, bool) {
	for _, a := range e.Attr {
		if a.Space == "" && a.Key == key {
			return strings.Trim(a.Value, blanks), true
		}
	}
	return "", false
}
