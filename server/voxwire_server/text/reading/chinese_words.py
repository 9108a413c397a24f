"""The numerals of Chinese, and what its measures, currencies and signs are called."""

from __future__ import annotations

_DIGITS = "零一二三四五六七八九"
_PLACES = ("", "十", "百", "千")
_GROUPS = ("", "万", "亿", "万亿", "亿亿")


def digits(text: str, one: str = "一") -> str:
    """Digit by digit; `one` is 幺 in telephone numbers. Other characters are left out."""
    return "".join(one if char == "1" else _DIGITS[int(char)] for char in text if char.isdecimal())


def decimal(text: str) -> str:
    """A number with a decimal point and no commas: "10.05" is 十点零五."""
    head, _, tail = text.partition(".")
    return f"{cardinal(int(head or '0'))}点{digits(tail)}"


def cardinal(number: int, measured: bool = False) -> str:
    """0 <= number < 10 ** 20 as it is counted; `measured`: 2 is 两. 200, 2000, 20000 begin with 两 in any case."""
    if number < 10:
        return "两" if number == 2 and measured else _DIGITS[number]
    groups: list[int] = []
    while number:
        number, group = divmod(number, 10_000)
        groups.append(group)
    said = _of_groups(groups)
    if said.startswith("一十"):
        return said[1:]
    return "两" + said[1:] if said.startswith("二") and said[1] != "十" else said


def _of_groups(groups: list[int]) -> str:
    said, skipped = "", False
    for place in range(len(groups) - 1, -1, -1):
        group = groups[place]
        if group == 0:
            skipped = True
            continue
        if said and (skipped or group < 1000):
            said += "零"
        said += _below_ten_thousand(group) + _GROUPS[place]
        skipped = False
    return said


def _below_ten_thousand(number: int) -> str:
    said, skipped = "", False
    for place in (3, 2, 1, 0):
        digit = number // 10**place % 10
        if digit:
            said += ("零" if said and skipped else "") + _DIGITS[digit] + _PLACES[place]
        skipped = not digit
    return said


MEASURES = (
    "[个個天周週年](?![级級])|[次人位名只隻条條张張本件台臺辆輛部家种種项項块塊元圆杯瓶碗盒包袋箱份套双雙对對把支枝根颗顆粒片朵棵座"
    "栋棟间間所层層道门門首篇句段行列组組批场場轮輪局步遍趟头頭匹群米克吨噸斤升亩畝度倍岁歲代国國字页頁章节節卷期届屆滴勺桶"
    "罐串笔筆顿頓票分秒大者户戶桌轴万亿千百萬億样樣股幅枚顶頂架艘盘盤副扇面级的倍类類款点點课課晚夜餐端侧側边邊门科]|"
    "小[时時]|[钟鐘][头頭]|星期|[美欧歐日港加澳泰韩韓]元|英[镑鎊里尺寸]|公[里斤顷顷尺]|[千毫微]克|[千厘毫分微]米|毫?升|平方|立方|"
    "[摄攝华華]氏度|成(?!为|為|功|立)|回(?!到|来|來)|口(?!号)|处|處|方面|多[个個人次天年名]|余[个人名]|來|余"
)
"""What a number counts or measures; a regular expression for what follows it."""

CURRENCY_SIGNS = {
    "¥": "元", "$": "美元", "US$": "美元", "HK$": "港元", "NT$": "新台币", "A$": "澳元", "C$": "加元",
    "S$": "新加坡元", "€": "欧元", "£": "英镑", "₩": "韩元", "₹": "卢比", "₽": "卢布", "₿": "比特币", "฿": "泰铢",
    "₫": "越南盾", "₺": "里拉", "₱": "比索", "₴": "格里夫纳", "₪": "谢克尔", "CN¥": "元", "JP¥": "日元", "RMB": "元",
    "CNY": "元",
}  # fmt: skip

CURRENCY_CODES = {
    "USD": "美元", "RMB": "元", "CNY": "元", "HKD": "港元", "TWD": "新台币", "JPY": "日元", "KRW": "韩元",
    "EUR": "欧元", "GBP": "英镑", "AUD": "澳元", "CAD": "加元", "SGD": "新加坡元", "CHF": "瑞士法郎", "INR": "卢比",
    "RUB": "卢布", "THB": "泰铢", "BTC": "比特币", "ETH": "以太币", "USDT": "泰达币",
}  # fmt: skip

UNITS = {
    "km": "公里", "m": "米", "dm": "分米", "cm": "厘米", "mm": "毫米", "µm": "微米", "μm": "微米", "nm": "纳米",
    "m²": "平方米", "m2": "平方米", "㎡": "平方米", "km²": "平方公里", "km2": "平方公里", "㎢": "平方公里",
    "cm²": "平方厘米", "cm2": "平方厘米", "mm²": "平方毫米", "m³": "立方米", "m3": "立方米", "㎥": "立方米",
    "cm³": "立方厘米", "cm3": "立方厘米", "ha": "公顷", "㎞": "公里", "㎝": "厘米", "㎜": "毫米", "ft": "英尺",
    "mi": "英里", "yd": "码", "kg": "千克", "㎏": "千克", "KG": "千克", "g": "克", "mg": "毫克", "㎎": "毫克",
    "µg": "微克", "μg": "微克", "t": "吨", "lb": "磅", "lbs": "磅", "oz": "盎司", "L": "升", "l": "升", "ℓ": "升",
    "dL": "分升", "dl": "分升", "mL": "毫升", "ml": "毫升", "㎖": "毫升", "ML": "毫升", "°C": "摄氏度", "℃": "摄氏度",
    "°F": "华氏度", "℉": "华氏度", "°": "度", "º": "度", "h": "小时", "hr": "小时", "hrs": "小时", "min": "分钟",
    "mins": "分钟", "s": "秒", "sec": "秒", "ms": "毫秒", "µs": "微秒", "μs": "微秒", "ns": "纳秒", "W": "瓦",
    "kW": "千瓦", "KW": "千瓦", "MW": "兆瓦", "GW": "吉瓦", "kWh": "千瓦时", "Wh": "瓦时", "MWh": "兆瓦时", "V": "伏",
    "kV": "千伏", "mV": "毫伏", "mA": "毫安", "mAh": "毫安时", "Ω": "欧姆", "kΩ": "千欧", "Hz": "赫兹", "kHz": "千赫",
    "KHz": "千赫", "MHz": "兆赫", "GHz": "吉赫", "dB": "分贝", "Pa": "帕", "hPa": "百帕", "kPa": "千帕",
    "MPa": "兆帕", "J": "焦", "kJ": "千焦", "kcal": "千卡", "cal": "卡", "N": "牛", "px": "像素", "dpi": "D P I",
    "mol": "摩尔", "ppm": "P P M",
}  # fmt: skip
"""What is said behind a number."""

UNITS_PER = {
    "km/h": ("小时", "公里"), "kmh": ("小时", "公里"), "kph": ("小时", "公里"), "m/s": ("秒", "米"),
    "mph": ("小时", "英里"), "km/s": ("秒", "公里"), "m/s²": ("平方秒", "米"), "MB/s": ("秒", "MB"),
    "GB/s": ("秒", "GB"), "KB/s": ("秒", "KB"), "Mbps": ("秒", "兆比特"), "Gbps": ("秒", "吉比特"),
    "kbps": ("秒", "千比特"), "fps": ("秒", "帧"), "rpm": ("分钟", "转"), "mg/L": ("升", "毫克"), "g/L": ("升", "克"),
    "mmol/L": ("升", "毫摩尔"), "kg/m³": ("立方米", "千克"), "g/cm³": ("立方厘米", "克"), "bpm": ("分钟", "次"),
    "L/min": ("分钟", "升"), "mg/kg": ("千克", "毫克"),
}  # fmt: skip
"""For what is said before the number, and what behind it."""

SIGNS = {
    "+": "加", "×": "乘", "÷": "除以", "*": "乘", "=": "等于", "<": "小于", ">": "大于", "≥": "大于等于",
    "≤": "小于等于", "≠": "不等于", "≈": "约等于", "±": "正负", "x": "乘", "X": "乘",
}  # fmt: skip

ADDRESS_SIGNS = {
    ".": "点", "@": "艾特", "/": "斜杠", "-": "横杠", "_": "下划线", ":": "冒号", "?": "问号", "=": "等于", "&": "和",
    "#": "井号", "%": "百分号", "~": "波浪号", "+": "加",
}  # fmt: skip

GREEK = {
    "α": "阿尔法", "β": "贝塔", "γ": "伽马", "δ": "德尔塔", "Δ": "德尔塔", "ε": "艾普西隆", "ζ": "泽塔", "η": "伊塔",
    "θ": "西塔", "ι": "约塔", "κ": "卡帕", "λ": "兰姆达", "μ": "缪", "µ": "缪", "ν": "纽", "ξ": "克西", "π": "派",
    "ρ": "柔", "σ": "西格玛", "Σ": "西格玛", "τ": "陶", "φ": "斐", "Φ": "斐", "χ": "卡伊", "ψ": "普赛", "ω": "欧米伽",
    "Ω": "欧米伽",
}  # fmt: skip
