<?php
foreach (['urn:dgis:test', 'urn:other'] as $audience) {
    $metadata[$audience] = [
        'AssertionConsumerService' => 'https://grid.example/api/saml/acs',
        'NameIDFormat' => 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent',
        'simplesaml.nameidattribute' => 'uid',
    ];
}
