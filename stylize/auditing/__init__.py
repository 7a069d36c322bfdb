"""The effect of a style on videos: is the appearance removed and the motion kept?"""
