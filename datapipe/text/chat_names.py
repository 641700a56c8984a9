"""Names of chat forms, of what bears loss in them, and ChatML's control tokens: apart, for what must start at once."""

from typing import Literal

FormName = Literal["chatml", "llama2", "chatglm2", "chatglm3", "baichuan2", "skywork", "plain"]
LossName = Literal["answers", "qwen_paper", "qwen_script", "baichuan2", "chatglm2", "chatglm3"]

CHATML = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
