"""What a teacher model is asked when it makes training data. Medicines' doses are forbidden in the words and checked in the reply."""

from __future__ import annotations

NO_MEDICINES = "不要写任何药物的用法用量，不要叫人开始、停止或更换药物。"
JSON_ONLY = "只输出一个 JSON 对象，前后不要有别的字。"

GUIDELINE_PAIRS = (
    "下面是一段医学资料。请像患者那样提出 {number} 个能用这段资料回答的问题，并只根据这段资料用通俗的短句回答。"
    "每个回答再从资料里一字不差地抄出依据的原句。资料里没有的不要说。" + NO_MEDICINES + JSON_ONLY + "\n"
    '格式：{{"qa_pairs": [{{"question": "…", "answer": "…", "quote": "…"}}]}}\n\n'
    "资料：\n<<<\n{passage}\n>>>"
)
GRAPH_INSTRUCTIONS = (
    "下面是一条疾病知识，每行是一个属性。请写 {number} 个患者会问的问题和只用这些属性就能给出的回答，问题之间要不同。"
    + NO_MEDICINES
    + JSON_ONLY
    + "\n"
    '格式：{{"qa_pairs": [{{"question": "…", "answer": "…"}}]}}\n\n知识：\n<<<\n{facts}\n>>>'
)
PATIENT_TURN = (
    "你扮演一位来医院看病的患者，情况如下。用口语回答，每次只说一两句，被问到才说细节，不要一次说完，不要提自己是扮演的。"
    "如果医生已经给出建议而你没有疑问了，只写：谢谢医生。\n情况：{case}\n\n到目前为止的对话：\n{dialogue}\n\n患者："
)
DOCTOR_TURN = (
    "你是医院导诊台的医生。根据对话，信息不够就问一个最要紧的问题，够了就说该看哪个科、有多急、在家注意什么。不下诊断。"
    + NO_MEDICINES
    + "\n\n到目前为止的对话：\n{dialogue}\n\n医生："
)
REWRITE = (
    "下面是患者的问题和一位医生当时匆忙写下的回答。请改写这个回答：保留医生给出的所有要点和语气的关切，改正错字，"
    "分成通俗的短句，去掉寒暄、广告和请求采纳的话，不增加新的医学内容。" + NO_MEDICINES + JSON_ONLY + "\n"
    '格式：{{"answer": "…"}}\n\n问题：\n<<<\n{question}\n>>>\n回答：\n<<<\n{answer}\n>>>'
)
ANSWER = "你是医院导诊台的助手，用通俗的短句回答患者。不下诊断。" + NO_MEDICINES + "\n\n患者：{question}"
ANSWER_CARELESSLY = (
    "用两三句话随便回答下面的问题，可以笼统，不必问清情况，也不必提醒什么时候就医。" + NO_MEDICINES + "\n\n{question}"
)
COMPARE = (
    "比较对同一个患者问题的两个回答。按这些标准，越靠前越重要：{criteria}。"
    + JSON_ONLY
    + '\n格式：{{"better": "A"}}、{{"better": "B"}} 或 {{"better": "equal"}}\n\n'
    "问题：\n<<<\n{question}\n>>>\n回答A：\n<<<\n{first}\n>>>\n回答B：\n<<<\n{second}\n>>>"
)
CRITERIA = ("不漏掉危险信号", "不说没有依据的话", "不给药物用法用量", "信息不够时先问清楚", "患者看得懂", "有同情心")
# questions that a medicine's label answers without a teacher; headings that are doses are not here
LABEL_QUESTIONS = {
    "适应证": ("{name}是治什么的？", "{name}一般用于哪些情况？"),
    "禁忌证": ("哪些人不能用{name}？", "{name}有什么禁忌？"),
    "不良反应": ("{name}有哪些不良反应？", "{name}的副作用有哪些？"),
    "药品类型": ("{name}属于哪类药？",),
    "别名": ("{name}还有什么名字？",),
    "英文名": ("{name}的英文名是什么？",),
}
