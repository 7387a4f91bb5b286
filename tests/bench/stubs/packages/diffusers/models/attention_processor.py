AttnProcessor = AttnProcessor2_0 = object
