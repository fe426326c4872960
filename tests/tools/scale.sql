-- Studies FIRST to LAST and their replicas, made in the server; read by tests/tools/scale.py, which fills in
-- the words in capitals. Every study has a patient, a series and an instance, original and de-identified; every
-- fourth has two parts. One a second came, the first hundred before twelve days and more. What is not named is empty.

INSERT INTO phi_patient (id, contributor_id, patient_key, patient_id, patient_name, patient_name_alphabetic,
                         study_count, series_count, instance_count)
SELECT n, CONTRIBUTOR, 'p' || n, 'phi' || n, 'DOE^' || n, 'doe^' || n, 1, 1, 1 FROM generate_series(FIRST, LAST) n;

INSERT INTO phi_study (id, patient_row, contributor_id, patient_key, study_key, study_instance_uid, accession_number,
                       study_date, series_count, instance_count)
SELECT n, n, CONTRIBUTOR, 'p' || n, 's' || n, 'phi.' || n, 'A' || n,
       to_char(date '2000-01-01' + (n % 9000)::int, 'YYYYMMDD'), 1, 1 FROM generate_series(FIRST, LAST) n;

INSERT INTO phi_series (id, study_row, contributor_id, patient_key, study_key, series_key, series_instance_uid,
                        modality, instance_count)
SELECT n, n, CONTRIBUTOR, 'p' || n, 's' || n, 'r' || n, 'phi.' || n || '.1', 'CT', 1
FROM generate_series(FIRST, LAST) n;

INSERT INTO phi_instance (id, series_row, instance_key, sop_instance_uid, transfer_syntax, size_bytes, record_key,
                          position, sha256, received_ms, location)
SELECT n, n, 'i' || n, 'phi.' || n || '.1.1', '1.2.840.10008.1.2.1', 500000, '2.25.' || n || '.0', 0,
       sha256(n::text::bytea), NOW_MS - 12 * 86400000 + (n - 100) * 1000, '' FROM generate_series(FIRST, LAST) n;

INSERT INTO deid_patient (id, contributor_id, patient_key, patient_id, patient_name, patient_name_alphabetic,
                          study_count, series_count, instance_count)
SELECT n, CONTRIBUTOR, 'p' || n, 'deid' || n, 'ANON^' || n, 'anon^' || n, 1, 1, 1 FROM generate_series(FIRST, LAST) n;

INSERT INTO deid_study (id, patient_row, contributor_id, patient_key, study_key, study_instance_uid, accession_number,
                        study_date, series_count, instance_count)
SELECT n, n, CONTRIBUTOR, 'p' || n, 's' || n, 'deid.' || n, 'X' || n,
       to_char(date '2000-01-01' + (n % 9000)::int, 'YYYYMMDD'), 1, 1 FROM generate_series(FIRST, LAST) n;

INSERT INTO deid_series (id, study_row, contributor_id, patient_key, study_key, series_key, series_instance_uid,
                         modality, instance_count)
SELECT n, n, CONTRIBUTOR, 'p' || n, 's' || n, 'r' || n, 'deid.' || n || '.1', 'CT', 1
FROM generate_series(FIRST, LAST) n;

INSERT INTO deid_instance (id, series_row, instance_key, sop_instance_uid, transfer_syntax, size_bytes, record_key,
                           position, published_ms)
SELECT n, n, 'i' || n, 'deid.' || n || '.1.1', '1.2.840.10008.1.2.1', 500000, '2.25.' || n || '.0', 0,
       NOW_MS - 12 * 86400000 + (n - 100) * 1000
FROM generate_series(FIRST, LAST) n;

-- A record and a companion a part. Of 2,000 studies the objects of one are due for filling, those of one are
-- superseded, those of one an intent that nobody committed.
INSERT INTO replica_object (name, record_key, kind, size_bytes, sha256, intent, intended_ms, committed_ms,
                            superseded_ms, fill_due_ms)
SELECT kind || '/' || left(digest, 2) || '/' || key || '_' || digest, key, kind, 1000000, decode(digest, 'hex'),
       'loaded', NOW_MS, CASE WHEN n % 2000 = 1 THEN NULL ELSE NOW_MS END,
       CASE WHEN n % 2000 = 2 THEN NOW_MS END, CASE WHEN n % 2000 = 3 THEN NOW_MS END
FROM (
    SELECT n, kind, '2.25.' || n || '.' || part AS key,
           encode(sha256((kind || n || '.' || part)::bytea), 'hex') AS digest
    FROM generate_series(FIRST, LAST) n, generate_series(0, CASE WHEN n % 4 = 0 THEN 1 ELSE 0 END) part,
         unnest(ARRAY['record', 'sealed']) kind
) keyed;

-- Three of five nodes each, verified within the last half year; of 5,000 copies one is suspicious.
INSERT INTO replica_copy (object_id, node, state, verified_ms)
SELECT id, 'node-' || (id + c) % 5,
       CASE WHEN committed_ms IS NULL THEN 'copying' WHEN superseded_ms IS NOT NULL THEN 'obsolete'
            WHEN (id * 3 + c) % 5000 = 0 THEN 'suspicious' ELSE 'available' END,
       NOW_MS - ((id * 7919 + c) % 180) * 86400000
FROM replica_object, generate_series(0, 2) c WHERE id > OBJECTS;
