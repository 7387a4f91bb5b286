#include "source/absent_encoders.h"

#include "base/error.h"

namespace tempera {

void assume_text_encoders(ModelConfig& config, bool first_is_absent, bool second_is_absent, std::string_view source) {
  const UnetConfig& unet = config.unet;
  const int pooled =
      unet.projection_class_embeddings_input_dim - config.micro_conditioning_count() * unet.addition_time_embed_dim;
  if (second_is_absent) {
    // As wide as its projection in all published models; the rest of the text's width is that of the first encoder.
    const int first = config.text_encoder && !first_is_absent ? config.text_encoder->hidden_size : 0;
    config.text_encoder_2 = {};
    config.text_encoder_2.projection_dim = pooled;
    config.text_encoder_2.hidden_size = first > 0 ? unet.cross_attention_dim - first : pooled;
  }
  if (first_is_absent) {
    const int width = unet.cross_attention_dim - config.text_encoder_2.hidden_size;
    config.text_encoder.reset();
    if (width != 0) config.text_encoder.emplace().hidden_size = width;
  }
  const bool fits =
      config.text_encoder_2.hidden_size > 0 && (!config.text_encoder || config.text_encoder->hidden_size > 0);
  if (!fits)
    fail(ErrorCode::bad_file,
         "'{}' has no text encoders, and its UNet does not read text as SDXL does (cross_attention_dim {}, "
         "projection_class_embeddings_input_dim {}): use a complete SDXL model",
         source, unet.cross_attention_dim, unet.projection_class_embeddings_input_dim);
}

}  // namespace tempera
