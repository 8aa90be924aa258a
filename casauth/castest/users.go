package castest

import "slices"

// User is someone who can log in.
type User struct {
	Login    string // the CAS identifier: cas:user, NameIdentifier
	Password string
	Name     string // as the login page shows it
	Role     string // what the login page adds in brackets, e.g. "élève"; may be empty

	// Attributes are sent with every answer that carries attributes, in
	// alphabetical order of their names.
	Attributes map[string][]string
}

// DemoUsers returns the people of the demo: a pupil, a parent, a teacher, and a
// pupil for whom the ENT knows no PRONOTE identifier. The password is "demo"
// for all. Every call returns a fresh copy.
func DemoUsers() []User {
	return []User{
		demoUser("camille.durand", "Camille", "Durand", "élève", "14/03/2011", "National_1", "KT2AQ3UW4S98DPYX"),
		demoUser("nadia.durand", "Nadia", "Durand", "parent", "02/09/1979", "National_2", "M7RC5XGB2HJ9VTEN"),
		demoUser("karim.benali", "Karim", "Benali", "professeur", "21/06/1984", "National_3", "P4WZ8KDUA6YSF3QJ"),
		demoUser("hugo.lefevre", "Hugo", "Lefèvre", "élève sans identifiant PRONOTE", "30/11/2012", "National_1", ""),
	}
}

func demoUser(login, first, last, role, birth, category, id string) User {
	u := User{
		Login: login, Password: "demo", Name: first + " " + last, Role: role,
		Attributes: map[string][]string{
			"nom":              {last},
			"prenom":           {first},
			"dateNaissance":    {birth},
			"categories":       {category},
			"ENTPersonProfils": {category},
		},
	}
	if id != "" {
		u.Attributes["idPronote"] = []string{id}
	}
	return u
}

func (u User) attributeNames() []string {
	names := make([]string, 0, len(u.Attributes))
	for name := range u.Attributes {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
