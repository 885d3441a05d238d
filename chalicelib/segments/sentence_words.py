"""The words in which conditions are told, Japanese and English; pure."""

from __future__ import annotations

from chalicelib.customers.model import Gender

GENDERS = {str(Gender.FEMALE): ("女性", "women"), str(Gender.MALE): ("男性", "men")}
FIELDS = {
    "profile.member_no": ("会員番号", "member number"),
    "profile.name": ("名前", "name"),
    "profile.gender": ("性別", "gender"),
    "profile.birthday": ("生年月日", "birthday"),
    "profile.prefecture": ("都道府県", "prefecture"),
    "profile.city": ("市区町村", "city"),
    "profile.postal_code": ("郵便番号", "postal code"),
    "profile.age": ("年齢", "age"),
    "line.reachable": ("LINEが届くか", "whether LINE reaches them"),
    "email.reachable": ("メールが届くか", "whether e-mail reaches them"),
    "sms.reachable": ("SMSが届くか", "whether SMS reaches them"),
    "postal.reachable": ("郵送DMが届くか", "whether letters reach them"),
    "line.linked": ("ID連携しているか", "whether they are linked"),
    "customer.known": ("会員かどうか", "whether they are members"),
    "purchase.count": ("購入回数", "number of purchases"),
    "purchase.total_yen": ("累計購入金額", "total of purchases"),
    "rfm.recency": ("RFMのR（最近さ）", "RFM recency"),
    "rfm.frequency": ("RFMのF（頻度）", "RFM frequency"),
    "rfm.monetary": ("RFMのM（金額）", "RFM monetary value"),
}
UNITS = {
    "profile.age": ("歳", ""), "purchase.count": ("回", ""), "purchase.total_yen": ("円", " yen"),
}  # fmt: skip
# Of fields that are true or false, what is true of people: Japanese as sentence_ja.Phrase, English the same.
FLAGS = {
    "line.reachable": (("LINEが届く", "LINEが届かない", "LINEが届き", "LINEが届かず"),
                       ("can be reached by LINE", "cannot be reached by LINE")),
    "email.reachable": (("メールが届く", "メールが届かない", "メールが届き", "メールが届かず"),
                        ("can be reached by e-mail", "cannot be reached by e-mail")),
    "sms.reachable": (("SMSが届く", "SMSが届かない", "SMSが届き", "SMSが届かず"),
                      ("can be reached by SMS", "cannot be reached by SMS")),
    "postal.reachable": (("郵送DMが届く", "郵送DMが届かない", "郵送DMが届き", "郵送DMが届かず"),
                         ("can be reached by letter", "cannot be reached by letter")),
    "line.linked": (("ID連携している", "ID連携していない", "ID連携していて", "ID連携しておらず"),
                    ("are linked", "are not linked")),
    "customer.known": (("会員である", "会員でない", "会員で", "会員でなく"), ("are members", "are not members")),
}  # fmt: skip
DATES = {
    "purchase.first": ("初回購入日", "first purchase"),
    "purchase.last": ("最終購入日", "last purchase"),
    "friend.since": ("友だち追加日", "day of becoming a friend"),
    "profile.birthday": ("生年月日", "birthday"),
    "activity.last": ("最後の行動日", "last act"),
}
# What within a number of days is said of a date: the verb, in the forms of sentence_ja.Phrase; English after "have (not)".
DONE = {
    "purchase.first": (("初めて購入した", "初めて購入してはいない", "初めて購入し", "初めて購入してはおらず"),
                       "bought for the first time"),
    "purchase.last": (("購入した", "購入していない", "購入していて", "購入しておらず"), "bought"),
    "friend.since": (("友だちになった", "友だちになっていない", "友だちになり", "友だちになっておらず"), "become friends"),
    "activity.last": (("行動した", "行動していない", "行動していて", "行動しておらず"), "done anything"),
}  # fmt: skip
# Of each act: what it is done to, and the four endings; English after "have (not)".
_DO = ("した", "していない", "していて", "しておらず")
ACTS = {
    "message": ("メッセージを送", ("った", "っていない", "っていて", "っておらず"), "sent a message"),
    "postback": ("ボタンを押", _DO, "pressed a button"),
    "video": ("動画を最後まで再生", _DO, "watched a video to its end"),
    "clicked": ("リンクをタップ", _DO, "tapped a link"),
    "email_opened": ("メールを開封", _DO, "opened an e-mail"),
    "visited": ("Webページを閲覧", _DO, "visited a page"),
    "followed": ("友だち追加を", _DO, "added the account as a friend"),
    "blocked": ("ブロックを", _DO, "blocked the account"),
    "linked": ("ID連携を", _DO, "linked their account"),
    "unlinked": ("ID連携の解除を", _DO, "unlinked their account"),
    "opted_out": ("配信停止を", _DO, "opted out"),
    "custom": ("イベントを経験", _DO, "had an event"),
    "survey_answered": ("アンケートに回答", _DO, "answered a survey"),
    "form_submitted": ("フォームを送信", _DO, "submitted a form"),
    "reservation_made": ("予約を", _DO, "made a reservation"),
    "reservation_visited": ("予約で来店", _DO, "visited by a reservation"),
    "reservation_cancelled": ("予約のキャンセルを", _DO, "cancelled a reservation"),
    "purchase": ("購入", _DO, "bought"),
}  # fmt: skip
STATES = {
    "in": (("に参加中である", "に参加中でない", "に参加中で", "に参加中でなく"), ("are in", "are not in")),
    "ever": (("に参加したことがある", "に参加したことがない", "に参加したことがあり", "に参加したことがなく"),
             ("have ever entered", "have never entered")),
    "done": (("を終えた", "を終えていない", "を終えていて", "を終えておらず"), ("have finished", "have not finished")),
    "left": (("を途中でやめた", "を途中でやめていない", "を途中でやめていて", "を途中でやめておらず"),
             ("have left", "have not left")),
}  # fmt: skip
EVIDENCE = {
    "A": ("確実に", "for certain"),
    "B": ("", ""),
    "C": ("機械の可能性があるものも含めて", "even if a machine may have done it"),
}


def number(value: float) -> str:
    """Return a number as people write it; two that differ are written differently."""
    return f"{int(value) if isinstance(value, float) and value.is_integer() else value:,}"


def quoted(text: str, marks: str) -> str:
    """Return a text between a pair of marks; the closing one is doubled inside, so that no text can look like the sentence's."""
    return marks[0] + text.replace(marks[1], marks[1] * 2) + marks[1]
