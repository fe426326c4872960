<?php
$organization = 'urn:oasis:names:tc:xspa:1.0:subject:organization';
$role = 'urn:oasis:names:tc:xacml:2.0:subject:role';
$many = array_map(fn ($number) => "role $number " . str_repeat('x', 190), range(1, 200));
$config = [
    'admin' => ['core:AdminPassword'],
    'example-userpass' => [
        'exampleauth:UserPass',
        'alice:alicepass' => ['uid' => ['alice'], $organization => ['Hospital A'], $role => ['reader', 'teacher']],
        'bob:bobpass' => ['uid' => ['bob'], $organization => ['Hospital B']],
        'many:manypass' => ['uid' => ['many'], $organization => ['Hospital A'], $role => $many],
    ],
];
