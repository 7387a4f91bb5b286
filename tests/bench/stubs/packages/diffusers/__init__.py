"""The names of diffusers that bench/peers/diffusers_row.py uses. All values of a picture are 10, or 11 in half precision."""
from types import SimpleNamespace

from torch import Tensor

__version__ = "made-up"
VAE = SimpleNamespace(config=SimpleNamespace(latent_channels=4), enable_slicing=lambda: (_ for _ in ()).throw(ValueError("cut off\nmore")))


class EulerDiscreteScheduler:
    @staticmethod
    def from_config(config):
        return config


class AutoencoderTiny:
    config = SimpleNamespace(latent_channels=4)

    def to(self, dtype):
        return self

    def eval(self):
        return self


class Picture:
    def __init__(self, width, height, grey):
        self.values = bytes([grey]) * (3 * width * height)

    def convert(self, mode):
        assert mode == "RGB"
        return self

    def tobytes(self):
        return self.values


class StableDiffusionXLPipeline:
    vae_scale_factor = 8

    @staticmethod
    def from_pretrained(folder, torch_dtype, use_safetensors, local_files_only, add_watermarker, **parts):
        pipe = StableDiffusionXLPipeline()
        pipe.grey = 10 if torch_dtype == "float32" else 11
        pipe.scheduler = SimpleNamespace(config={})
        pipe.unet = SimpleNamespace(set_attn_processor=lambda processor: None)
        pipe.vae, pipe.text_encoder = VAE, "here"
        vars(pipe).update(parts)
        return pipe

    def set_progress_bar_config(self, disable):
        assert disable

    def to(self, device):
        assert device == "cpu"
        return self

    def encode_prompt(self, prompt, device, num_images_per_prompt, do_classifier_free_guidance):
        assert self.unet is None and self.text_encoder == "here" and do_classifier_free_guidance
        return [Tensor([0])] * 4

    def __call__(
        self, latents, num_images_per_prompt, num_inference_steps, guidance_scale, width, height, output_type, prompt=None, **embeds
    ):
        assert latents.values == list(range(5, 5 + num_images_per_prompt)), latents.values
        assert (prompt is None) == (self.text_encoder is None) == (len(embeds) == 4)
        return SimpleNamespace(images=[Picture(width, height, self.grey)] * num_images_per_prompt)
