package protocol

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/beevik/etree"
)

// conditions are when and for whom an assertion holds (SAML 1.1 core §2.3.2.1).
type conditions struct {
	notBefore, notOnOrAfter time.Time
	audiences               [][]string // of every AudienceRestrictionCondition
}

func readConditions(assertion *etree.Element) (conditions, error) {
	var c conditions
	e, err := only(assertion, samlNS, "Conditions", ReasonConditions)
	if err != nil {
		return c, err
	}
	var okStart, okEnd bool
	c.notBefore, okStart = instant(attribute(e, "NotBefore"))
	c.notOnOrAfter, okEnd = instant(attribute(e, "NotOnOrAfter"))
	if !okStart || !okEnd {
		return c, malformed(ReasonDates)
	}
	children, err := elements(e)
	if err != nil {
		return c, err
	}
	for _, child := range children {
		switch {
		case is(child, samlNS, "AudienceRestrictionCondition"):
			audiences, err := readAudiences(child)
			if err != nil {
				return c, err
			}
			c.audiences = append(c.audiences, audiences)
		case is(child, samlNS, "DoNotCacheCondition"): // we never do
		default:
			return c, malformed(ReasonCondition)
		}
	}
	return c, nil
}

func readAudiences(e *etree.Element) ([]string, error) {
	children, err := elements(e)
	if err != nil {
		return nil, err
	}
	var audiences []string
	for _, child := range children {
		text, ok := plainText(child)
		if !ok || !is(child, samlNS, "Audience") {
			return nil, malformed(ReasonConditions).with("AudienceRestrictionCondition")
		}
		audiences = append(audiences, strings.Trim(text, blanks))
	}
	return audiences, nil
}

// hold refuses an assertion that is not for now, the start included and the end
// not, or not for our service: one exact match in every restriction.
func (cs conditions) hold(c Context) error {
	now, skew := c.Now, c.Skew
	if now.IsZero() {
		now = time.Now()
	}
	if skew == 0 {
		skew = DefaultSkew
	}
	if now.Add(skew).Before(cs.notBefore) {
		return verdict(ReasonNotYetValid)
	}
	if !now.Add(-skew).Before(cs.notOnOrAfter) {
		return verdict(ReasonExpired)
	}
	for _, audiences := range cs.audiences {
		if c.Service != "" && !slices.Contains(audiences, c.Service) {
			return verdict(ReasonAudience)
		}
	}
	return nil
}

// xsDateTime is a moment with a time zone (XML Schema, dateTime). time.Parse
// alone also takes one-digit hours and commas.
var xsDateTime = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$`)

func instant(s string) (time.Time, bool) {
	if !xsDateTime.MatchString(s) {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339, s)
	return t, err == nil
}

// readStatements returns the subject of the one AuthenticationStatement, and the
// attributes. All statements must be about that subject: phpCAS takes the first,
// the Java client the authenticated one. What is in an Advice is not said by
// this assertion and never read.
func readStatements(assertion *etree.Element) (Answer, error) {
	children, err := elements(assertion)
	if err != nil {
		return Answer{}, err
	}
	login, err := only(assertion, samlNS, "AuthenticationStatement", ReasonSubject)
	if err != nil {
		return Answer{}, err
	}
	name, err := nameIdentifier(login)
	if err != nil {
		return Answer{}, err
	}
	user, err := readUser(name)
	if err != nil {
		return Answer{}, err
	}
	bag := newAttributes()
	for _, c := range children {
		if c == login || c.NamespaceURI() != samlNS || !strings.HasSuffix(c.Tag, "Statement") {
			continue
		}
		other, err := nameIdentifier(c)
		if err != nil {
			return Answer{}, err
		}
		if text, ok := plainText(other); !ok || strings.Trim(text, blanks) != user {
			return Answer{}, malformed(ReasonSubjectMismatch)
		}
		bag.statement(c)
	}
	return Answer{User: user, Attributes: bag.values}, nil
}

// nameIdentifier returns the name of the statement's subject. How the subject
// was confirmed is not judged: the Keycloak plugin leaves it out.
func nameIdentifier(statement *etree.Element) (*etree.Element, error) {
	subject, err := only(statement, samlNS, "Subject", ReasonSubject)
	if err != nil {
		return nil, err
	}
	names := named(subject, samlNS, "NameIdentifier")
	switch len(names) {
	case 0:
		return nil, malformed(ReasonNoUser)
	case 1:
		return names[0], nil
	}
	return nil, malformed(ReasonTwoUsers)
}

// statement reads the attributes of an AttributeStatement. Apereo lists the
// values of an attribute within it, django-cas-server repeats the attribute.
func (a *attributes) statement(e *etree.Element) {
	for _, attr := range named(e, samlNS, "Attribute") {
		for _, value := range named(attr, samlNS, "AttributeValue") {
			if text, leaf := leafText(value); leaf {
				a.add(attribute(attr, "AttributeName"), text)
			}
		}
	}
}
