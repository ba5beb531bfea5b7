"""Files of every shape of row, and what most of them say."""

from __future__ import annotations

from pathlib import Path

from hypothesis import strategies as st

SHAPES = Path(__file__).parent / "data" / "finetune"
HEEL, ADVICE = "走路久了脚后跟疼怎么办？", "先少走远路，换一双软底的鞋；两周没有好转就去骨科看看。"
# file: (kinds, the first record's question, its first target)
EXPECTED = {
    "alpaca_history.json": (["dialogue"] * 2, HEEL, ADVICE),
    "alpaca_lines.jsonl": (["dialogue"], "我想知道别人的病历号。", "病历是别人的隐私，我不能帮您查。"),
    "alpaca_lists.json": (["dialogue"], HEEL, ADVICE),
    "alpaca_turns_inside.json": (["dialogue"], "体检说有脂肪肝，严重吗？", "多数轻度脂肪肝可以好转，您的体重怎么样？"),
    "alpaca_output_pair.json": (["preference"], HEEL, ADVICE),
    "persona.json": (["dialogue"], "你是谁？", "您好，我是 <NAME>，由 <AUTHOR> 开发的助手。"),
    "sharegpt.jsonl": (["dialogue"], HEEL, ADVICE),
    "messages.jsonl": (["dialogue"], HEEL, ADVICE),
    "lima.jsonl": (["dialogue"], HEEL, ADVICE),
    "moss.jsonl": (["dialogue"], HEEL, ADVICE),
    "webmedqa.txt": (["dialogue"], HEEL, ADVICE),
    "disc_conversation.jsonl": (["dialogue"], HEEL, ADVICE),
    "counselling.jsonl.xz": (["dialogue"], "最近总睡不着，白天没精神。", "听起来很累。这样多久了？"),
    "meddg.json": (["dialogue"], "肚子胀了三天", "大便正常吗？\n有没有发烧？"),
    "imcs.json": (["dialogue"] * 2, "孩子咳嗽两天，没有发烧。", "有痰吗？"),
    "mdcfnpc.jsonl": (["dialogue"], "胃疼。", "饭前疼还是饭后疼？"),
    "dialogue_turns.jsonl": (["dialogue"] * 2, HEEL, ADVICE),
    "huatuo_sft.jsonl": (["dialogue"], HEEL, ADVICE),
    "meddialog_processed.json": (["dialogue"], "脚后跟疼两周\n走路就疼。", "晨起第一步最疼吗？"),
    "bianque.csv": (["dialogue"], "肚子疼", "疼多久了？"),
    "toyhom_gbk.csv": (["dialogue"] * 2, "走路久了脚后跟疼，是怎么回事？", ADVICE),
    "query_response.jsonl.gz": (["dialogue"], HEEL, ADVICE),
    "huatuo_26m.jsonl": (["dialogue"] * 2, HEEL, ADVICE),
    "graded_answers.jsonl": (["dialogue"], HEEL, ADVICE),
    "caregpt_text_answer.json": (["dialogue"], HEEL, ADVICE),
    "guideline_pairs.json": (["dialogue"] * 2, "足跟痛要注意什么？", "少站立。"),
    "cmb_clin.json": (["dialogue"], "男，40岁，足跟痛。\n首先考虑什么？", "足底筋膜炎。"),
    "cmexam.jsonl": (["choice"] * 2, "正常成人的安静心率多在", "每分钟60～100次"),
    "cmb.json": (["choice"], "量体温前应先", "甩表"),
    "medqa.jsonl": (["choice"], "Which organ pumps blood?", "Heart"),
    "mlec.json": (["choice"], "皮肤最外层是", "表皮"),
    "medmcqa.jsonl": (["choice"], "Which is a bone?", "Femur"),
    "pubmedqa.json": (["choice"] * 2, "Forty people rested.\nDoes rest help heel pain?", "yes"),
    "pg_bench.jsonl": (["choice"], "患者：牙龈刷牙出血（女，30岁）", "牙周病专业"),
    "symptom_department.tsv": (["dialogue"], "流鼻血，应该挂哪个科？", "耳鼻咽喉科"),
    "vignettes.json": (["dialogue"] * 2, "My heel is sore after a long walk.", "Self-care at home"),
    "reward_responses.jsonl": (["preference"], HEEL, ADVICE),
    "preference_prompt.jsonl": (["preference"], HEEL, ADVICE),
    "preference_sharegpt.json": (["preference"], HEEL, ADVICE),
    "hh_rlhf.jsonl": (["preference"], "My heel hurts.\nTwo weeks.", "Rest it, and see a doctor if it stays."),
    "ultrafeedback_messages.jsonl": (["preference"], "My heel hurts.", "Rest it."),
    "kto.jsonl": (["dialogue"] * 2, HEEL, ADVICE),
    "pretraining.txt": (["text"] * 2, "足底筋膜连接脚跟和脚趾。", "足底筋膜连接脚跟和脚趾。"),
    "text_rows.jsonl": (["text"], "足底筋膜连接脚跟和脚趾。", "足底筋膜连接脚跟和脚趾。"),
    "department_guides.json": (
        ["text"],
        "骨科是诊治骨、关节和肌肉问题的科室。",
        "骨科是诊治骨、关节和肌肉问题的科室。",
    ),
    "department_list.txt": (["text"] * 2, "【外科：】骨科 手外科 足踝外科", "【外科：】骨科 手外科 足踝外科"),
}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=6), children, max_size=4),
    max_leaves=12,
)
