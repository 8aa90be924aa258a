<?php
// A page that says whom phpCAS found. Its service is a private address, as PRONOTE's is.
if ($_SERVER['SCRIPT_NAME'] === '/ready') {
    exit('ready');
}
require_once 'CAS.php';

$cas = parse_url(getenv('INTEROP_CAS'));
$version = ['cas2' => CAS_VERSION_2_0, 'cas3' => CAS_VERSION_3_0, 'saml11' => SAML_VERSION_1_1][getenv('INTEROP_PROTOCOL')];
phpCAS::client($version, $cas['host'], $cas['port'], $cas['path'], 'http://127.0.0.1:' . getenv('INTEROP_PORT'));
phpCAS::setCasServerCACert(getenv('INTEROP_CA'));
phpCAS::handleLogoutRequests(false); // the relay calls from where the browser does: loopback
phpCAS::forceAuthentication();

header('Content-Type: text/plain; charset=utf-8');
echo 'user=', phpCAS::getUser(), "\n";
$attributes = phpCAS::getAttributes();
ksort($attributes);
foreach ($attributes as $name => $value) {
    echo "attribute $name=", implode(',', (array) $value), "\n";
}
