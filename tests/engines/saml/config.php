<?php
// SimpleSAMLphp as an identity provider for tests, under PHP's own server; the environment says where.
$port = getenv('IDP_PORT');
$folder = getenv('IDP_FOLDER');
$config = [
    'baseurlpath' => "http://127.0.0.1:$port/",
    'certdir' => "$folder/",
    'loggingdir' => "$folder/",
    'datadir' => "$folder/",
    'tempdir' => "$folder/",
    'metadatadir' => __DIR__ . '/metadata',
    'metadata.sources' => [['type' => 'flatfile']],
    'technicalcontact_name' => 'tests',
    'technicalcontact_email' => 'tests@example.org',
    'secretsalt' => 'of the tests',
    'auth.adminpassword' => 'of the tests',
    'timezone' => 'UTC',
    'logging.handler' => 'file',
    'logging.level' => 5,
    'showerrors' => true,
    'debug' => null,
    'enable.saml20-idp' => true,
    'module.enable' => ['exampleauth' => true, 'core' => true, 'saml' => true],
    'authproc.idp' => [],
    'session.cookie.secure' => false,
    'store.type' => 'phpsession',
    'session.phpsession.savepath' => "$folder/sessions",
    'language.default' => 'en',
    'trusted.url.domains' => ["127.0.0.1:$port"],
];
