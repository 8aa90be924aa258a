// PRONOTE de démonstration : rien de PRONOTE ici.
function Start(parametres) { document.documentElement.dataset.session = parametres.h; }
function messageErreur() { document.documentElement.dataset.session = ''; }
