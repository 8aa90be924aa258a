package pages

import (
	"fmt"
	"strings"
	"time"
)

// The spaces that French puts inside guillemets and before : ; ? ! are typed as
// plain ones here and made non-breaking by typeset.
var french = tongue{
	tag: "fr",
	kinds: map[Kind]words{
		SessionEnded: {
			Title:  "Votre session a pris fin",
			Lead:   "Ce que vous venez d’envoyer n’a pas été enregistré, car votre session n’était plus ouverte.",
			Next:   "Pour ne pas perdre un long texte, revenez d’abord à la page précédente et copiez-le. Ensuite, reconnectez-vous et recommencez.",
			Action: "Se reconnecter",
		},
		LoginRequired: {
			Title:  "Connexion nécessaire",
			Lead:   "Il faut se connecter avec l’ENT pour continuer.",
			Next:   "Connectez-vous, puis recommencez.",
			Action: "Se connecter avec l’ENT",
		},
		Refused: {
			Title:  "Accès refusé",
			Lead:   "Votre demande n’a pas pu être acceptée.",
			Next:   "Si vous pensez qu’il s’agit d’une erreur, contactez l’établissement.",
			Action: "Réessayer",
			Admin:  "Le code ci-dessous figure dans le journal de Caddy avec la raison du refus.",
			Detail: "Précision :",
		},
		LoginLoop: {
			Title:  "La connexion n’aboutit pas",
			Lead:   "Plusieurs tentatives de connexion de suite ont échoué.",
			Next:   "Attendez une minute, puis recommencez. Si cela continue, contactez l’établissement.",
			Action: "Recommencer la connexion",
			Admin:  "Le code ci-dessous figure dans le journal de Caddy avec la cause de chaque échec.",
			Detail: "Précision :",
		},
		UnknownIdentifier: {
			Title:  "Votre compte n’est pas relié à PRONOTE",
			Lead:   "Votre connexion à l’ENT a réussi, mais il n’a pas été possible de savoir qui vous êtes dans PRONOTE.",
			Next:   "Contactez le secrétariat de l’établissement, qui pourra relier votre compte à PRONOTE.",
			Action: "Utiliser un autre compte",
			Admin:  "L’ENT n’a pas envoyé d’identifiant PRONOTE valide pour ce compte, et l’annuaire ne le connaît pas. Demandez à l’ENT d’envoyer l’attribut, ou nommez dans `identifier` celui qui le contient. Sinon, importez l’export de PRONOTE avec `caddy pronote-cas import` et choisissez `unresolved ask` ; `caddy pronote-cas export` donne la liste des comptes concernés.",
			Detail: "Recherché dans :",
		},
		ENTUnavailable: {
			Title:  "L’ENT ne répond pas",
			Lead:   "Votre connexion n’a pas pu être vérifiée, car l’ENT ne répond pas ou répond trop lentement.",
			Next:   "Cela ne vient pas de vous. Réessayez dans {wait}.",
			Action: "Réessayer",
			Admin:  "Le serveur CAS n’a pas répondu dans le délai `cas_timeout`, ou a répondu par une erreur. Les sessions déjà ouvertes continuent.",
			Detail: "Serveur CAS :",
		},
		ENTUnreadable: {
			Title:  "Réponse inattendue de l’ENT",
			Lead:   "Votre connexion n’a pas pu être vérifiée, car la réponse de l’ENT est incompréhensible.",
			Next:   "Cela ne vient pas de vous. Réessayez dans {wait} ; si cela continue, contactez l’établissement.",
			Action: "Réessayer",
			Admin:  "La réponse à la validation n’est pas une réponse CAS. Vérifiez `cas_url`, `protocol` et `validate_url` ; une page de maintenance ou un pare-feu peut aussi répondre à la place du serveur CAS.",
			Detail: "Adresse interrogée :",
		},
		StorageUnavailable: {
			Title:  "Service momentanément indisponible",
			Lead:   "Votre session ne peut pas être retrouvée pour l’instant.",
			Next:   "Cela ne vient pas de vous. Réessayez dans {wait}.",
			Action: "Réessayer",
			Admin:  "Le stockage de Caddy, où sont gardées les sessions, ne répond pas ou n’accepte pas d’écriture. Le journal de Caddy en donne la raison ; tout reprend de soi-même dès que le stockage répond.",
			Detail: "Stockage :",
		},
		BadRequest: {
			Title:  "Adresse incorrecte",
			Lead:   "L’adresse demandée peut se comprendre de plusieurs façons.",
			Next:   "Si vous avez suivi un lien, il est sans doute abîmé. Repartez de l’accueil.",
			Action: "Aller à l’accueil",
			Admin:  "Caddy et PRONOTE pourraient lire cette adresse différemment. Elle est refusée pour que personne ne contourne la connexion.",
			Detail: "Chemin reçu :",
		},
		NotFound: {
			Title:  "Page introuvable",
			Lead:   "Cette adresse ne mène à aucune page.",
			Next:   "Vérifiez l’adresse, ou repartez de l’accueil.",
			Action: "Aller à l’accueil",
		},
		MethodNotAllowed: {
			Title:  "Action impossible",
			Lead:   "Cette page existe, mais elle ne s’utilise pas de cette façon.",
			Next:   "Repartez de l’accueil.",
			Action: "Aller à l’accueil",
		},
		TooEarly: {
			Title:  "Encore un instant",
			Lead:   "La demande est arrivée avant que la liaison sécurisée soit prête.",
			Next:   "Cela ne vient pas de vous. Recommencez.",
			Action: "Recommencer",
		},
		LoggedOut: {
			Title:  "Votre session est fermée",
			Lead:   "La déconnexion de PRONOTE a réussi, mais votre session ENT est peut-être encore ouverte.",
			Next:   "Sur un ordinateur partagé, déconnectez-vous aussi de l’ENT, puis fermez toutes les fenêtres du navigateur.",
			Action: "Se reconnecter",
		},
		LogoutConfirm: {
			Title:  "Voulez-vous vous déconnecter ?",
			Lead:   "Un autre site a demandé votre déconnexion de PRONOTE. Votre session est toujours ouverte.",
			Next:   "Si vous vouliez vous déconnecter, confirmez-le.",
			Action: "Rester dans PRONOTE",
		},
		ServiceNotAllowed: {
			Title:  "Service non autorisé",
			Lead:   "Une connexion a été demandée pour un site qui n’est pas le PRONOTE de cet établissement.",
			Next:   "Si vous avez suivi un lien, ne vous y fiez pas. Repartez de l’accueil.",
			Action: "Aller à l’accueil",
			Admin:  "Aucun ticket n’a été délivré. Si cette adresse est bien celle de PRONOTE, ajoutez-la à `internal_url`, ou à `service` dans le bloc `relay`.",
			Detail: "Service demandé :",
		},
		WrongProfile: {
			Title:  "Ce n’est pas votre Espace",
			Lead:   "{Espace} n’est pas destiné à votre profil.",
			Next:   "Utilisez l’Espace prévu pour vous.",
			Action: "Ouvrir {own}",
			Admin:  "Le profil envoyé par l’ENT n’est pas de ceux que `require` admet pour cet Espace. Si c’est bien le sien, ajoutez-y la valeur ci-dessous ; si aucune n’est affichée, l’ENT n’envoie pas l’attribut que nomme `require`.",
			Detail: "Profil reçu :",
		},
		SessionOpen: {
			Title:  "Votre session est ouverte",
			Lead:   "Vous avez accès à PRONOTE avec votre compte de l’ENT.",
			Next:   "Sur un ordinateur partagé, pensez à vous déconnecter avant de partir.",
			Action: "Aller à PRONOTE",
		},
		SessionNone: {
			Title:  "Aucune session ouverte",
			Lead:   "Personne n’est actuellement connecté à PRONOTE dans ce navigateur.",
			Next:   "Pour accéder à PRONOTE, connectez-vous avec votre compte de l’ENT.",
			Action: "Se connecter avec l’ENT",
		},
		AskIdentifier: {
			Title:  "Reliez votre compte à PRONOTE",
			Lead:   "Votre connexion à l’ENT a réussi. Il reste à saisir, une seule fois, votre identifiant PRONOTE.",
			Next:   "Il figure sur le courrier remis par l’établissement. Si vous ne l’avez pas, demandez-le au secrétariat.",
			Action: "Utiliser un autre compte",
		},
		AskLocked: {
			Title:  "Trop d’essais",
			Lead:   "Les informations saisies n’ont pas pu être vérifiées, et tous les essais permis ont été utilisés.",
			Next:   "Recommencez dans {wait}, avec le courrier sous les yeux. Si les informations ne sont toujours pas acceptées, contactez le secrétariat de l’établissement.",
			Action: "Recommencer",
			Admin:  "`caddy pronote-cas directory` montre le nom et la date de naissance que connaît l’annuaire. Pour relier ce compte à la place de la personne, importez son identifiant PRONOTE et son identifiant CAS avec `caddy pronote-cas import`, en mode `partial`.",
		},
	},
	causes: frenchCauses,
	errors: map[AskError]string{
		AskEmpty:      "Remplissez ce champ.",
		AskLength:     "L’identifiant compte 16 caractères ; il y en a {count} ici.",
		AskAlphabet:   "À vérifier : {chars}. L’identifiant n’a que des chiffres et des lettres sans accent, et jamais 0, 1, I, L ni O.",
		AskDate:       "Écrivez le jour, le mois et l’année, par exemple 07/03/2012.",
		AskMismatch:   "Ces informations ne correspondent pas. Relisez-les sur le courrier, puis recommencez.",
		AskUnprovable: "Cet identifiant ne peut pas être vérifié ici. Contactez le secrétariat de l’établissement.",
		AskWait:       "Attendez {wait} avant le prochain essai.",
	},
	espaces: map[string]string{
		"commune":      "la page commune",
		"direction":    "l’Espace Direction",
		"professeurs":  "l’Espace Professeurs",
		"vie_scolaire": "l’Espace Vie scolaire",
		"parents":      "l’Espace Parents",
		"accompagnant": "l’Espace Accompagnants",
		"eleves":       "l’Espace Élèves",
		"entreprise":   "l’Espace Entreprise",
		"tuteur":       "l’Espace Tuteur",
		"academie":     "l’Espace Académie",
	},
	labels: labels{
		Banner:         "Accès à PRONOTE",
		Code:           "Code à donner à l’établissement :",
		Admin:          "Pour l’administrateur",
		Logout:         "Se déconnecter",
		ErrorTitle:     "Erreur : ",
		AllRequired:    "Tous les champs sont obligatoires.",
		OneRequired:    "Ce champ est obligatoire.",
		TriesOne:       "Il reste un seul essai.",
		TriesMany:      "Il reste {tries} essais.",
		Identifier:     "Identifiant PRONOTE",
		IdentifierHint: "16 lettres et chiffres. Les minuscules et les espaces sont acceptés.",
		LastName:       "Nom de famille",
		LastNameHint:   "Celui de la personne à qui le courrier a été remis.",
		BirthDate:      "Date de naissance",
		BirthDateHint:  "De la même personne, par exemple 07/03/2012.",
		Submit:         "Relier mon compte",
		AnyEspace:      "cet Espace",
		OwnEspace:      "mon Espace",
		SomeMinutes:    "quelques minutes",
		SomeSeconds:    "quelques secondes",
	},
	date: func(t time.Time) string {
		months := [...]string{"janvier", "février", "mars", "avril", "mai", "juin", "juillet",
			"août", "septembre", "octobre", "novembre", "décembre"}
		day := fmt.Sprint(t.Day())
		if t.Day() == 1 {
			day = "1er"
		}
		return fmt.Sprintf("%s %s %d à %s", day, months[t.Month()-1], t.Year(), t.Format("15:04:05 MST"))
	},
	wait: func(minutes int) string {
		switch hours := (minutes + 59) / 60; {
		case minutes == 1:
			return "une minute"
		case minutes < 60:
			return fmt.Sprintf("%d minutes", minutes)
		case hours == 1:
			return "une heure"
		default:
			return fmt.Sprintf("%d heures", hours)
		}
	},
	// Narrow no-break spaces go before ; ? ! and wide ones before : and inside
	// guillemets, as the Imprimerie nationale sets them.
	typeset: strings.NewReplacer(" ;", "\u202f;", " ?", "\u202f?", " !", "\u202f!",
		" :", "\u00a0:", "« ", "«\u00a0", " »", "\u00a0»").Replace,
}
