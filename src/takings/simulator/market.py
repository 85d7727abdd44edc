"""The market the company sells in: currencies and their rates, countries and their taxes, what it sells, and whom to."""

from __future__ import annotations

from typing import NamedTuple

from takings.money import exponent

#: What one euro is worth, in major units.
RATE_OF_EUR = {"eur": 1.0, "usd": 1.1, "gbp": 0.86, "jpy": 160.0, "kwd": 0.335}


class Country(NamedTuple):
    """A country to sell to; ``tax_bp`` is its tax in hundredths of a percent, ``inclusive`` where prices contain it."""

    code: str
    currency: str
    weight: float
    tax_bp: int
    tax_name: str
    tax_type: str
    inclusive: bool
    locale: str
    phone: str
    tax_id_type: str
    first: tuple[str, ...]
    last: tuple[str, ...]
    streets: tuple[str, ...]
    cities: tuple[tuple[str, str, str | None], ...]


COUNTRIES: tuple[Country, ...] = (
    Country(
        "FR", "eur", 30, 2000, "TVA", "vat", False, "fr", "+33", "eu_vat",
        ("Camille", "Léa", "Hugo", "Inès", "Jules", "Manon", "Noé", "Zoé", "Aurélien", "Chloé", "Étienne", "Margaux"),
        ("Martin", "Bernard", "Dubois", "Lefèvre", "Moreau", "Girard", "Rousseau", "Fournier", "Lambert", "Faure"),
        ("rue de la République", "avenue Victor-Hugo", "rue des Lilas", "quai Saint-Michel", "place du Marché"),
        (("Paris", "75011", None), ("Lyon", "69002", None), ("Nantes", "44000", None), ("Lille", "59800", None), ("Bordeaux", "33000", None)),
    ),
    Country(
        "DE", "eur", 14, 1900, "USt", "vat", False, "de", "+49", "eu_vat",
        ("Anna", "Lukas", "Mia", "Jonas", "Lena", "Felix", "Jürgen", "Sophie", "Emil", "Clara"),
        ("Müller", "Schmidt", "Schneider", "Fischer", "Weber", "Wagner", "Becker", "Schäfer", "Koch", "Groß"),
        ("Hauptstraße", "Bahnhofstraße", "Gartenweg", "Lindenallee", "Am Markt"),
        (("Berlin", "10115", None), ("Hamburg", "20095", None), ("München", "80331", None), ("Köln", "50667", None)),
    ),
    Country(
        "ES", "eur", 7, 2100, "IVA", "vat", False, "es", "+34", "eu_vat",
        ("Lucía", "Mateo", "Sofía", "Hugo", "Martina", "Daniel", "Paula", "Álvaro"),
        ("García", "Fernández", "López", "Martínez", "Sánchez", "Pérez", "Muñoz", "Romero"),
        ("Calle Mayor", "Avenida de la Constitución", "Calle del Sol", "Plaza Nueva"),
        (("Madrid", "28013", None), ("Barcelona", "08002", None), ("Valencia", "46002", None)),
    ),
    Country(
        "IT", "eur", 6, 2200, "IVA", "vat", False, "it", "+39", "eu_vat",
        ("Giulia", "Leonardo", "Sofia", "Alessandro", "Aurora", "Matteo", "Chiara", "Niccolò"),
        ("Rossi", "Russo", "Ferrari", "Esposito", "Bianchi", "Romano", "Colombo", "D’Angelo"),
        ("Via Roma", "Corso Italia", "Via Garibaldi", "Piazza del Duomo"),
        (("Milano", "20121", "MI"), ("Roma", "00184", "RM"), ("Torino", "10121", "TO")),
    ),
    Country(
        "BE", "eur", 5, 2100, "TVA", "vat", False, "fr", "+32", "eu_vat",
        ("Louise", "Arthur", "Emma", "Noah", "Olivia", "Liam"),
        ("Peeters", "Janssens", "Maes", "Jacobs", "Dupont", "Lambert"),
        ("rue Neuve", "Kerkstraat", "chaussée de Gand"),
        (("Bruxelles", "1000", None), ("Antwerpen", "2000", None)),
    ),
    Country(
        "US", "usd", 17, 0, "", "", False, "en-US", "+1", "us_ein",
        ("Olivia", "Liam", "Emma", "Noah", "Ava", "Ethan", "Mia", "Mason", "Harper", "Logan"),
        ("Smith", "Johnson", "Williams", "Brown", "Jones", "Miller", "Davis", "Garcia", "O’Neill", "Nguyen"),
        ("Main Street", "Oak Avenue", "Maple Drive", "2nd Street", "Park Boulevard"),
        (("New York", "10001", "NY"), ("Austin", "78701", "TX"), ("San Francisco", "94103", "CA"), ("Portland", "97205", "OR")),
    ),
    Country(
        "GB", "gbp", 13, 2000, "VAT", "vat", False, "en-GB", "+44", "gb_vat",
        ("Amelia", "George", "Isla", "Oliver", "Freya", "Alfie", "Poppy", "Rhys"),
        ("Taylor", "Evans", "Wright", "Hughes", "Walker", "MacDonald", "Edwards", "Patel"),
        ("High Street", "Church Lane", "Station Road", "Victoria Terrace"),
        (("London", "E1 6AN", None), ("Manchester", "M1 1AE", None), ("Edinburgh", "EH1 1YZ", None)),
    ),
    Country(
        "JP", "jpy", 5, 1000, "消費税", "jct", True, "ja", "+81", "jp_cn",
        ("美咲", "翔太", "さくら", "陽菜", "蓮", "大翔", "結衣"),
        ("佐藤", "鈴木", "高橋", "田中", "渡辺", "伊藤"),
        ("本町", "中央通り", "桜通り"),
        (("渋谷区", "150-0002", "東京都"), ("大阪市", "530-0001", "大阪府")),
    ),
    Country(
        "KW", "kwd", 3, 0, "", "", False, "ar", "+965", "sa_vat",
        ("Fatima", "Ahmad", "Maryam", "Yousef", "Noura", "Khaled"),
        ("Al-Sabah", "Al-Rashid", "Al-Mutairi", "Al-Ajmi"),
        ("Salem Al Mubarak Street", "Gulf Road"),
        (("Kuwait City", "13001", None), ("Salmiya", "20001", None)),
    ),
)  # fmt: skip

COMPANIES = ("Atelier", "Maison", "Studio", "Labo", "Comptoir", "Fabrik", "Works", "Collective", "Café", "Hôtel")
DOMAINS = ("example.com", "example.org", "example.net", "mail.example.com")
ROASTS = ("light", "medium", "dark", "espresso", "decaf")
CHANNELS = ("organic", "partner", "ads", "referral", "newsletter", "fair")


class Tier(NamedTuple):
    """A subscription product: name, monthly price in euro cents, what one unit is, seats most customers take."""

    name: str
    eur_minor: int
    unit: str | None
    seats: tuple[int, ...]


TIERS = (
    Tier("Tasting box", 1_900, "box", (1, 1, 1, 2)),
    Tier("Connoisseur box", 3_900, "box", (1, 1, 1, 2)),
    Tier("Team coffee", 1_450, "seat", (3, 5, 8, 12, 20)),
    Tier("Office bar", 24_900, None, (1, 1, 2)),
)

#: One-off goods and add-ons: name and price in euro cents.
GOODS = (
    ("Moka pot", 3_450),
    ("Ethiopia Yirgacheffe 1 kg", 2_990),
    ("Colombia Huila 1 kg", 2_650),
    ("Hand grinder", 8_900),
    ("Barista workshop", 12_000),
    ("Filter papers", 690),
    ("Espresso cups, set of six", 4_200),
    ("Machine service", 9_500),
)

#: Subscription add-ons: name and monthly price in euro cents.
ADDONS = (
    ("Extra bag", 1_150),
    ("Oat milk", 890),
    ("Machine rental", 4_500),
    ("Priority delivery", 490),
)


class Offer(NamedTuple):
    """A coupon: name, percent off or euro cents off, duration, months if repeating."""

    name: str
    percent: float | None
    eur_minor: int | None
    duration: str
    months: int | None


OFFERS = (
    Offer("Welcome 20 %", 20.0, None, "once", None),
    Offer("Three months at half price", 50.0, None, "repeating", 3),
    Offer("Partner 10 %", 10.0, None, "forever", None),
    Offer("Ten off", None, 1_000, "once", None),
    Offer("First box free", 100.0, None, "once", None),
    Offer("Old friends", 12.5, None, "repeating", 12),
)


def price_in(currency: str, eur_minor: int) -> int:
    """Return a price list amount in minor units of a currency, rounded as a shop would."""
    major = eur_minor / 100 * RATE_OF_EUR.get(currency, 1.0)
    places = exponent(currency)
    if places == 0:
        return max(50, round(major / 10) * 10)
    if places == 3:
        return max(500, round(major * 20) * 50)
    return max(50, round(major * 2) * 50 - (10 if major >= 5 else 0))
