"""A believable clinic for the OpenAPI document: a visit, its record and its prescription."""

from typing import Any

Json = dict[str, Any]

NEW_RECORD: Json = {
    "patient_id": 7,
    "doctor_id": 3,
    "record_text": "Follow-up for essential hypertension. BP 148/92 sitting, repeated 144/90. Lisinopril started.",
    "date": "2026-03-17",
    "category": "diagnosis",
    "source_id": "visit-2026-03-17-0831",
}

RECORD: Json = {
    "record_id": 12,
    "patient_id": 7,
    "doctor_id": 3,
    "record_text": NEW_RECORD["record_text"],
    "date": "2026-03-17",
    "category": "diagnosis",
    "version": 1,
    "created_at": "2026-03-17T08:42:10.250113Z",
    "updated_at": "2026-03-17T08:42:10.250113Z",
    "updated_by": "local",
    "source_id": "visit-2026-03-17-0831",
    "deleted": False,
}

RECORD_HISTORY: Json = {
    "record_id": 12,
    "patient_id": 7,
    "versions": [
        {**RECORD, "version": 2, "updated_at": "2026-03-18T10:05:33.481920Z", "deleted": True},
        RECORD,
    ],
    "next_cursor": "",
}

MEDICATION: Json = {
    "medication_name": "Lisinopril 10 MG Oral Tablet",
    "dosage": "10 mg once daily",
    "rxnorm_code": "314076",
    "sig": "Take one tablet by mouth every morning.",
    "quantity": "30",
    "days_supply": 30,
    "refills": 2,
    "reason": "Essential hypertension",
    "strength": "10 mg",
    "form": "tablet",
}

NEW_PRESCRIPTION: Json = {
    "patient_id": 7,
    "doctor_id": 3,
    "medications": [MEDICATION],
    "status": "active",
    "patient_name": "Jana Dvořáková",
    "prescriber_name": "Dr. Amal Haddad",
    "written_on": "2026-03-17",
    "patient_birth_date": "1961-11-04",
    "patient_address": "Lipová 12\n602 00 Brno",
    "prescriber_address": "Family Practice Haddad\nPekařská 3\n602 00 Brno",
    "source_id": "rx-2026-03-17-0007",
}

PRESCRIPTION: Json = {
    "prescription_id": 41,
    "patient_id": 7,
    "doctor_id": 3,
    "medications": [MEDICATION],
    "status": "active",
    "version": 1,
    "mail_to": "",
    "patient_name": NEW_PRESCRIPTION["patient_name"],
    "prescriber_name": NEW_PRESCRIPTION["prescriber_name"],
    "written_on": "2026-03-17",
    "created_at": "2026-03-17T08:44:51.003907Z",
    "updated_at": "2026-03-17T08:44:51.003907Z",
    "updated_by": "local",
    "source_id": NEW_PRESCRIPTION["source_id"],
    "patient_birth_date": "1961-11-04",
    "patient_address": NEW_PRESCRIPTION["patient_address"],
    "prescriber_address": NEW_PRESCRIPTION["prescriber_address"],
    "deleted": False,
}

DELIVERIES: Json = {
    "prescription_id": 41,
    "deliveries": [
        {
            "delivery_id": 18,
            "prescription_id": 41,
            "version": 2,
            "kind": "revision",
            "state": "waiting",
            "attempts": 1,
            "next_attempt_at": "2026-03-17T09:12:31.204519Z",
            "message_id": "<prescription.41.2.revision.20260317T091220Z@clinic.example>",
            "last_error": "RCPT 451 4.7.1",
            "replaces": "<prescription.41.1.new.20260317T084451Z@clinic.example>",
            "created_at": "2026-03-17T09:12:20.118006Z",
            "updated_at": "2026-03-17T09:12:20.530771Z",
        },
        {
            "delivery_id": 17,
            "prescription_id": 41,
            "version": 1,
            "kind": "new",
            "state": "sent",
            "attempts": 1,
            "next_attempt_at": "",
            "message_id": "<prescription.41.1.new.20260317T084451Z@clinic.example>",
            "last_error": "",
            "replaces": "",
            "created_at": "2026-03-17T08:44:51.003907Z",
            "updated_at": "2026-03-17T08:44:51.310244Z",
        },
    ],
    "next_cursor": "",
}

PRESCRIPTION_HISTORY: Json = {
    "prescription_id": 41,
    "patient_id": 7,
    "versions": [
        {**PRESCRIPTION, "version": 2, "status": "completed", "updated_at": "2026-04-16T07:12:08.774131Z"},
        PRESCRIPTION,
    ],
    "next_cursor": "",
}
