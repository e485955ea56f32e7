"""Dense segmentation by a fine-tuned encoder: network, crops, fitting, judging, files, and use on a scan."""
