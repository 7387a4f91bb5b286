// CLIP's own vocabulary, compiled into the library, for models that are a single file and have none. Its data is
// clip/merges.bin, made by tools/make_clip_vocabulary.mjs.
#pragma once

#include "text/tokenizer_files.h"

namespace tempera {

// 49,408 tokens and 48,894 merges, prompts of 77 tokens. Equal to the files of SDXL's folder `tokenizer`
// (Padding::first; also for Padding::as_stated) or `tokenizer_2` (Padding::second).
TokenizerFiles clip_vocabulary(Padding padding);

// The same as the texts of vocab.json, merges.txt and tokenizer_config.json.
TokenizerTexts clip_vocabulary_texts(Padding padding);

}  // namespace tempera
