"""Every word of the patient's screen that is not part of a reply, in both languages."""

from __future__ import annotations

from dataclasses import dataclass

from knowledge.records import Language


@dataclass(frozen=True)
class ScreenWords:
    """The screen's own words in one language."""

    title: str
    lead: str
    emergency: str
    notice: str
    how: str
    input: str
    language: str
    display: str
    displays: dict[str, str]
    large: str
    settings: str
    again: str
    delete: str
    deleted: str
    wait: str
    you: str
    reply: str
    fault: str
    print_card: str
    save_page: str
    save_text: str
    save_note: str
    nurse: str
    nurse_hint: str
    idle: str
    still_here: str
    calm: str


SCREEN_WORDS: dict[Language, ScreenWords] = {
    "zh": ScreenWords(
        title="导诊",
        lead="告诉我哪里不舒服，我帮您看有多急、该去哪个科。",
        emergency="情况危急，不要在这里等：**立即拨打 120**，或马上叫身边的医护人员。",
        notice="这是就医指引，不是诊断，不能代替医生。您说的话只在这台机器上处理，不保存；继续使用就表示您明白这一点。",
        how="写一句话，或者在图上点不舒服的地方。",
        input="比如：发烧两天，咳嗽",
        language="语言 Language",
        display="显示",
        displays={"auto": "自动", "light": "浅色", "dark": "深色", "contrast": "高对比"},
        large="大字",
        settings="字体和颜色",
        again="重新开始",
        delete="全部删除",
        deleted="已经全部删除，这里什么都没有留下。",
        wait="正在看，请稍等……",
        you="您说",
        reply="回复",
        fault="现在答不上来，不是您的问题。请直接问导诊台的护士；情况紧急请拨打 120。",
        print_card="打印就医卡",
        save_page="保存就医卡",
        save_text="保存为文字",
        save_note="保存交接单",
        nurse="给护士看的交接单",
        nurse_hint="把这一段给分诊台的护士看，不用再说一遍。",
        idle="没有人在用吗？{seconds} 秒后这里会清空，留给下一位。",
        still_here="我还在",
        calm="这里已经清空，请下一位使用。",
    ),
    "en": ScreenWords(
        title="Daozhen",
        lead="Tell me what is wrong, and I will say how urgent it is and which department to go to.",
        emergency="In an emergency do not wait here: **call 120 now**, or call the nearest member of staff.",
        notice="This is guidance, not a diagnosis, and no substitute for a doctor. What you say stays on this machine and is not kept; by going on you show that you understand this.",
        how="Write a sentence, or tap where it hurts.",
        input="For example: fever and a cough",
        language="语言 Language",
        display="Display",
        displays={"auto": "Automatic", "light": "Light", "dark": "Dark", "contrast": "High contrast"},
        large="Large type",
        settings="Type and colours",
        again="Start again",
        delete="Delete everything",
        deleted="Everything has been deleted. Nothing is left here.",
        wait="Looking, one moment …",
        you="You said",
        reply="Reply",
        fault="I cannot answer just now; it is nothing you did. Please ask the nurse at the desk; in an emergency call 120.",
        print_card="Print the card",
        save_page="Save the card",
        save_text="Save as text",
        save_note="Save the note",
        nurse="Hand-off note for the nurse",
        nurse_hint="Show this to the triage nurse, and you need not say it all again.",
        idle="Is anybody there? This screen clears for the next patient in {seconds} seconds.",
        still_here="I am still here",
        calm="The screen has been cleared for the next patient.",
    ),
}
