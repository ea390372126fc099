"""Byte-level BPE with StarCoder2's control tokens and its digit splitting (arXiv 2402.19173, section 5.2)."""

from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

# In the order of bigcode/starcoder2-15b's special_tokens_map.json: position is id.
CONTROL_TOKENS = """
<|endoftext|> <fim_prefix> <fim_middle> <fim_suffix> <fim_pad> <repo_name> <file_sep> <issue_start> <issue_comment>
<issue_closed> <jupyter_start> <jupyter_text> <jupyter_code> <jupyter_output> <jupyter_script> <empty_output>
<code_to_intermediate> <intermediate_to_code> <pr> <pr_status> <pr_is_merged> <pr_base> <pr_file> <pr_base_code>
<pr_diff> <pr_diff_hunk> <pr_comment> <pr_event_id> <pr_review> <pr_review_state> <pr_review_comment>
<pr_in_reply_to_review_id> <pr_in_reply_to_comment_id> <pr_diff_hunk_comment_line> <NAME> <EMAIL> <KEY> <PASSWORD>
""".split()


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> bytes:
    """A `tokenizer.json` of `vocab_size` tokens, control tokens first. Deterministic for the same texts in order."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=CONTROL_TOKENS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer.to_str().encode("utf-8")
