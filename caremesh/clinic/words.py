"""What the made-up clinic is made of. The people are invented; the medicine is everyday and simplified."""

from dataclasses import dataclass

NAMES = (
    "Anna Nováková", "Jiří Dvořák", "Marie Svobodová", "Łucja Wiśniewska", "Tomasz Zieliński", "Zeynep Yılmaz",
    "Emre Şahin", "Omar Haddad", "ليلى حداد", "يوسف خوري", "陈美玲", "王伟", "山田健太", "Ingrid Berg", "Lars Østby",
    "Kofi Mensah", "Ama Owusu", "Noémie Roux", "Jérôme Lefèvre", "Sofía Muñoz", "Tomás Núñez", "Maeve O'Brien",
    "George Whitfield", "Priya Raman", "Aarav Nair", "Олена Шевченко", "Jürgen Groß", "Eleni Papadopoulou",
)  # fmt: skip
STREETS = ("Mill Lane", "Na Kopci", "Rue des Lilas", "Harbour Road", "Lindenweg", "Station Street")
TOWNS = ("Ashford", "Třebíč", "Annecy", "Bergen", "Kumasi", "Coimbra")
DOCTORS = ("Dr. Eva Horáková", "Dr. Samuel Boateng", "Dr. Ines Carvalho", "Dr. Ruth Feldmann")
PRACTICE = "12 Station Street, Ashford"


@dataclass(frozen=True)
class Drug:
    """A medicine as it is prescribed here."""

    name: str
    strength: str
    form: str
    dosage: str
    sig: str
    per_day: int
    days: int
    refills: int


@dataclass(frozen=True)
class Problem:
    """A condition: what is written down, what is planned, what is prescribed."""

    diagnosis: str
    plan: str
    drugs: tuple[Drug, ...]
    reason: str
    lasting: bool


def _tablets(name: str, strength: str, per_day: int, days: int, refills: int, how: str) -> Drug:
    dosage = "1 tablet daily" if per_day == 1 else f"1 tablet {per_day} times a day"
    return Drug(name, strength, "tablet", dosage, f"Take {dosage} {how}.", per_day, days, refills)


PROBLEMS = (
    Problem(
        "Essential hypertension. 152/94 mmHg on three visits, no headache, no visual disturbance.",
        "Salt below 5 g a day, a brisk walk of 30 minutes most days. Home readings for two weeks, then review.",
        (
            _tablets("Amlodipine", "5 mg", 1, 30, 5, "in the morning"),
            _tablets("Ramipril", "2.5 mg", 1, 30, 5, "at bedtime"),
        ),
        "Essential hypertension",
        lasting=True,
    ),
    Problem(
        "Type 2 diabetes mellitus. HbA1c 58 mmol/mol, feet without findings, monofilament felt throughout.",
        "Dietitian, HbA1c every three months, eyes once a year. Goal: HbA1c below 53 mmol/mol.",
        (_tablets("Metformin", "500 mg", 2, 30, 5, "with meals"),),
        "Type 2 diabetes mellitus",
        lasting=True,
    ),
    Problem(
        "Mild asthma, worse in spring. Peak flow 82 % of predicted, better after a bronchodilator.",
        "Inhaler technique shown and repeated. Peak flow diary for a month.",
        (
            Drug(
                "Salbutamol",
                "100 micrograms",
                "inhaler",
                "2 puffs when needed",
                "Inhale 2 puffs when short of breath, at most 8 a day.",
                4,
                50,
                2,
            ),
        ),
        "Asthma",
        lasting=True,
    ),
    Problem(
        "Acute tonsillitis. Fever 38.6 °C, exudate on both sides, tender nodes, no cough. Rapid test positive.",
        "Rest and fluids. To come back if not better in three days or if swallowing becomes impossible.",
        (_tablets("Phenoxymethylpenicillin", "500 mg", 3, 7, 0, "on an empty stomach, until all are taken"),),
        "Streptococcal tonsillitis",
        lasting=False,
    ),
    Problem(
        "Low back pain for two weeks after lifting. No radiation, reflexes equal, no red flags.",
        "Stay active, heat, physiotherapy six times. No imaging for now.",
        (_tablets("Ibuprofen", "400 mg", 3, 10, 0, "with food"),),
        "Low back pain",
        lasting=False,
    ),
    Problem(
        "Iron deficiency anaemia. Haemoglobin 104 g/l, ferritin 7 µg/l. Stool test without blood.",
        "Blood count after four weeks. Iron-rich food explained.",
        (_tablets("Ferrous sulfate", "325 mg", 1, 30, 2, "with orange juice, not with tea or milk"),),
        "Iron deficiency anaemia",
        lasting=False,
    ),
    Problem(
        "Seasonal allergic rhinitis. Sneezing and itching eyes from April to June, sleeps badly.",
        "Windows closed in the morning, nasal rinsing with saline.",
        (_tablets("Cetirizine", "10 mg", 1, 30, 1, "in the evening"),),
        "Allergic rhinitis",
        lasting=False,
    ),
)

HISTORIES = (
    "Appendectomy in childhood. No allergies known. Does not smoke.",
    "Mother with type 2 diabetes. Penicillin tolerated before. Smoked until five years ago.",
    "Two uncomplicated births. Allergic to birch pollen. A glass of wine at weekends.",
    "Wrist fracture as a teenager, healed well. Nobody in the family with heart disease.",
    "Žádné vážné nemoci. Očkování úplné.",
)
NOTES = (
    "Feels well. Takes the medicine as agreed, no complaints about it.",
    "Called about the results: explained, no change of treatment.",
    "Flu vaccination given in the left arm, well tolerated.",
    "Sleeps better. Blood pressure at home 128/79 on average.",
    "Missed the last visit because of travel. Next one in six weeks.",
)
